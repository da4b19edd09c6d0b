"""Lets Python 3 import the packages `autobahntestsuite` and `autobahn` 0.10, which are Python 2.

The installed files stay as they are: they are translated while they are imported. Only what the
fuzzing client and server need is, and that is little: syntax, imports of neighbours by bare names,
and strings. A literal of the suite is a string of bytes; here it becomes a `str` of which each
character is one byte, and `as_bytes` turns it back where it meets the wire.
"""

import importlib.abc
import importlib.machinery
import re
import sys
import types

CASES = "autobahntestsuite.case"

# Cases for compression, which the addon does not offer, and one that the suite itself leaves out.
LEFT_OUT = (r"(?m)^.*[Cc]ase(12|13|9_9)_.*$", "")

# For each module (and those below it): pairs of a pattern and its replacement.
TRANSLATIONS = {
    "autobahntestsuite": [
        (r"(?m)^from _version import", "from ._version import"),
        # Half of these are not used.
        (r"(?m)^import (?!warnings$).*$", ""),
    ],
    CASES: [
        (r"(?m)^from (case\w*) import", r"from .\1 import"),
        # Old-style classes know no order in which to look for methods; the new order forbids this.
        (r"\(object, Case, \)", "(Case, )"),
        (r"(?m)^(\s*)print\b(?! *\()(.*)$", r"\1print(\2)"),
        (r"\bxrange\b", "range"),
        (r"\bimport binascii\b", "import port as binascii"),
        (r"from autobahn\.websocket\.utf8validator import", "from port import"),
        (r"len\(self\.payload\) / ", "len(self.payload) // "),
    ],
    "autobahntestsuite.caseset": [
        (r"(\w+)\.has_key\(([^()]+)\)", r"(\2 in \1)"),
        (r"'\\\.'", r"r'\\.'"),
    ],
    "autobahntestsuite.fuzzing": [
        (r"(?m)^from (case|caseset|report) import", r"from .\1 import"),
        (r"(?m)^(\s*)print\b(?! *\()(.*)$", r"\1print(\2)"),
        (r"([\w.\[\]]+)\.has_key\(([^()]+)\)", r"(\2 in \1)"),
    ],
    "autobahn.websocket.protocol": [
        (r"range\(payload_len / len\(payload\)\)", "range(payload_len // len(payload))"),
    ],
}


def as_bytes(value):
    """The bytes that a literal of the suite stands for, also inside of lists and tuples."""
    if isinstance(value, str):
        return value.encode("latin-1")
    if isinstance(value, (list, tuple)):
        return [as_bytes(item) for item in value]
    return value


def b2a_hex(value):
    """Stands in for that of `binascii`."""
    return as_bytes(value).hex()


def Utf8Validator():
    """Stands in for the class of `autobahn`, for the cases' sequences."""
    from autobahn.websocket.utf8validator import Utf8Validator as Original

    class Validator(Original):
        def validate(self, value):
            return super().validate(as_bytes(value))

    return Validator()


class Translator(importlib.machinery.SourceFileLoader):
    """Loads a module from its translated source."""

    def get_code(self, fullname):
        # Not from a cache: pip may have compiled what is Python 3 already as it is.
        path = self.get_filename(fullname)
        source = self.get_data(path).decode("latin-1").replace("\r\n", "\n")
        for pattern, replacement in translation(fullname):
            source = re.sub(pattern, replacement, source)
        if fullname == CASES:
            source = re.sub(*LEFT_OUT, source)
        return compile(source, path, "exec", dont_inherit=True)


class Finder(importlib.abc.MetaPathFinder):
    """Finds the modules that need a translation."""

    def find_spec(self, fullname, path, target=None):
        if not translation(fullname):
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.has_location:
            spec.loader = Translator(fullname, spec.origin)
        return spec


def translation(fullname):
    if fullname.startswith(CASES + "."):
        return TRANSLATIONS[CASES]
    return TRANSLATIONS.get(fullname)


def stand_in(name, **contents):
    """A module in place of one that cannot be had, or is not worth having."""
    module = types.ModuleType(name)
    vars(module).update(contents)
    sys.modules[name] = module


def install():
    """To be called before the first import of the suite."""
    sys.meta_path.insert(0, Finder())
    # Reports as web pages, the web server for them, and TLS are not used.
    looks = ("CSS_COMMON", "CSS_DETAIL_REPORT", "CSS_MASTER_REPORT", "JS_MASTER_REPORT")
    stand_in("autobahntestsuite.report", **dict.fromkeys(looks, ""))
    stand_in("pkg_resources")
    stand_in("twisted.internet.ssl", ClientContextFactory=lambda: None)
