"""How a message about the configuration reads."""

import re
from typing import Final

SHAPE: Final = re.compile(r"(aws:region|[^\s;]*?)(\[\d+])? (is|has) .+; .+[.)] .+[.?]", re.DOTALL)
"""`<key> is|has <value>; <what must hold>. <what to do>.`"""
