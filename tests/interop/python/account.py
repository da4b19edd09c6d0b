"""The account of cases: each is printed as `PASS name` or `FAIL name: why`."""

import asyncio
import sys
import traceback
from pathlib import Path

# For a single case. Nothing here takes longer than a second.
LIMIT = 10.0


class Account:
    def __init__(self, prefix=""):
        self.prefix = prefix
        self.passed = 0
        self.failed = 0

    def under(self, prefix):
        """The same account for cases whose names start differently."""
        part = Account(prefix)
        part.note = self.note
        return part

    def note(self, name, problem=None):
        if problem is None:
            self.passed += 1
            print(f"PASS {name}", flush=True)
        else:
            self.failed += 1
            print(f"FAIL {name}: {problem}", flush=True)

    async def case(self, name, body, limit=LIMIT):
        """Awaits `body`, which fails by raising."""
        problem = None
        try:
            async with asyncio.timeout(limit):
                await body
        except TimeoutError:
            problem = f"not done after {limit:.0f} s; {where()}"
        except Exception as error:
            problem = f"{type(error).__name__}: {str(error)[:300]}; {where()}"
        self.note(self.prefix + name, problem)

    def end(self):
        print(f"{self.passed} passed, {self.failed} failed", flush=True)
        sys.exit(1 if self.failed else 0)


def where():
    """The line of ours that the current exception comes from."""
    frames = traceback.extract_tb(sys.exc_info()[2])
    ours = [frame for frame in frames if "tests" in Path(frame.filename).parts]
    return f"line {ours[-1].lineno} of {ours[-1].name}" if ours else "somewhere"


def equal(got, wanted):
    if got != wanted:
        raise AssertionError(f"got {str(got)[:150]!r}, wanted {str(wanted)[:150]!r}")


def pattern(size):
    """Bytes of which no two neighbours are alike, so that lost or doubled ones show."""
    return bytes((i * 7 + i // 256) & 0xFF for i in range(size))
