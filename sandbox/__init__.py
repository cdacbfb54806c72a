"""A local stand-in for AWS: a strict provider for the `aws` package that the real Pulumi engine attaches to.

Nothing is ever created at AWS, and no network beyond loopback is used. See `sandbox.server.Sandbox` for use from
Python and `python -m sandbox --help` for use from a shell.
"""
