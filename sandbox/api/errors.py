"""What the service answers instead of doing what it was asked."""


class ServiceError(Exception):
    """An error that the service models: `code` is the exception's name, `parameter` the input it is about."""

    def __init__(self, code: str, message: str, parameter: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.parameter = parameter


def bad_request(message: str, parameter: str | None = None) -> ServiceError:
    return ServiceError("BadRequestException", message, parameter)


def not_found(message: str, parameter: str | None = None) -> ServiceError:
    return ServiceError("NotFoundException", message, parameter)


def conflict(message: str, parameter: str | None = None) -> ServiceError:
    return ServiceError("ConflictException", message, parameter)


class ShapeError(Exception):
    """An answer of ours that the service's own model does not allow: a bug here, never the caller's fault."""
