"""Build the package as for a release, and use it as a new user would: python -m release.check.

The sdist is built from the checkout, and the wheel from the sdist. Then the wheel is installed alone into a new
environment outside of the checkout, for each supported Python that this machine has.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
DIST = ROOT / "build" / "release"
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
PRINT_LOCATION = "import sklearn_fsmd, sys; print(sklearn_fsmd.__file__)"


def run(*command: str | Path, **options: object) -> subprocess.CompletedProcess[str]:
    """Run a command that must succeed."""
    print("$", *command, flush=True)
    return subprocess.run([str(part) for part in command], check=True, text=True, **options)


def tool(name: str) -> Path:
    """The path of a command in the environment of this process."""
    return Path(sys.executable).parent / name


def build_wheel() -> Path:
    """Build sdist and wheel, check their metadata and contents, and return the wheel."""
    shutil.rmtree(DIST, ignore_errors=True)
    run(sys.executable, "-m", "build", "--outdir", DIST, ROOT)
    run(tool("twine"), "check", "--strict", *sorted(DIST.iterdir()))
    (wheel,), (sdist,) = DIST.glob("*.whl"), DIST.glob("*.tar.gz")
    with zipfile.ZipFile(wheel) as archive:
        check_contents(
            wheel, archive.namelist(), has=["sklearn_fsmd/py.typed", "licenses/LICENSE"], has_not=r"(^|/)tests/|\.c$"
        )
    with tarfile.open(sdist) as archive:
        has = ["LICENSE", "README.md", "CITATION.cff", "sklearn_fsmd/execution/core.c", "tests/conftest.py"]
        check_contents(sdist, archive.getnames(), has=has, has_not=r"/(benchmarks|node_modules|build)/|\.onnx$")
    return wheel


def check_contents(path: Path, names: list[str], *, has: list[str], has_not: str) -> None:
    """Exit if an archive lacks a file, or contains one that it must not contain."""
    for end in has:
        if not any(name.endswith(end) for name in names):
            sys.exit(f"{path.name} has no {end}.")
    wrong = [name for name in names if re.search(has_not, name)]
    if wrong:
        sys.exit(f"{path.name} has {wrong[0]}.")


def interpreter(version: str) -> str | None:
    """The command of a working Python of this version; None if there is none."""
    path = shutil.which(f"python{version}")
    if path is None:
        return None
    command = [path, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
    answer = subprocess.run(command, capture_output=True, text=True)  # a pyenv shim may be broken
    return path if answer.stdout.strip() == version else None


def first_code() -> str:
    """The first block of Python in the README."""
    return re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.DOTALL)[1]


def check_with(python: str, wheel: Path) -> None:
    """Install the wheel into a new environment, and run the README's first code there."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        env, variables = folder / "env", {**os.environ, "PYTHONPATH": "", "OMP_NUM_THREADS": "1"}
        run(tool("virtualenv"), "--quiet", "--python", python, env)
        inside = env / "bin" / "python"
        run(inside, "-m", "pip", "install", "--quiet", wheel, env=variables)
        run(inside, "-m", "pip", "check", env=variables)
        where = run(inside, "-I", "-c", PRINT_LOCATION, cwd=folder, env=variables, capture_output=True).stdout
        if not Path(where.strip()).is_relative_to(env):
            sys.exit(f"The package was imported from {where.strip()}, and not from the wheel.")
        (folder / "quickstart.py").write_text(first_code() + "\nprint(p_click[:3], p_conversion[:3])\n")
        run(inside, "-I", "quickstart.py", cwd=folder, env=variables)
        shutil.copy(ROOT / "release" / "without_extras.py", folder)
        run(inside, "-I", "without_extras.py", *extras(), cwd=folder, env=variables)


def extras() -> list[str]:
    """The extras of the package; `serve` is omitted, since it is for an example that is not in the wheel."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    requirements = project["optional-dependencies"].items()
    return sorted(name for name, packages in requirements if packages and name not in ("dev", "docs", "serve"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pythons", nargs="+", default=PYTHONS, choices=PYTHONS)
    versions = parser.parse_args().pythons
    run(tool("cffconvert"), "--validate", "--infile", ROOT / "CITATION.cff")
    run(tool("hadolint"), ROOT / "examples" / "serving" / "Dockerfile")
    wheel = build_wheel()
    interpreters = {version: interpreter(version) for version in versions}
    for python in filter(None, interpreters.values()):
        check_with(python, wheel)
    checked = [version for version, python in interpreters.items() if python]
    missing = [version for version, python in interpreters.items() if not python]
    print(f"{wheel.name} is ready. Checked with Python {', '.join(checked) or 'none'}.")
    if missing:
        print(f"NOT checked with Python {', '.join(missing)}, which this machine does not have.")
    if not checked:
        sys.exit(1)


if __name__ == "__main__":
    main()
