"""The reader of Compose files: text in; a template or every fault, each with its place, out.

Owns what of the Compose specification Penstock takes (docs/compose.md). Anything else is refused by key, line and column, never ignored.
"""

from penstock.server.core.compose.assemble import Assembled, assemble
from penstock.server.core.compose.faults import ComposeError, Fault, Sources
from penstock.server.core.compose.project import ALONE, Template, read, read_assembled
from penstock.server.core.compose.settings import Settings

__all__ = ["ALONE", "Assembled", "ComposeError", "Fault", "Settings", "Sources", "Template", "assemble", "read", "read_assembled"]
