"""What is built to be handed on: the wheel and the sdist."""

from __future__ import annotations

import os
import re
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Dict

from packaging.metadata import Metadata

from conftest import HERE, ROOT

PACKAGE = HERE.parent / "hangwatch"


def contents(wheel: Path) -> Dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def metadata(wheel: Path) -> bytes:
    (text,) = [data for name, data in contents(wheel).items() if name.endswith(".dist-info/METADATA")]
    return text


def sources() -> Dict[str, bytes]:
    files = [path for path in PACKAGE.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    return {f"hangwatch/{path.relative_to(PACKAGE)}": path.read_bytes() for path in files}


def test_the_wheel_holds_the_package_with_its_types_and_licences_and_nothing_else(wheel: Path) -> None:
    has = contents(wheel)
    info = {name for name in has if ".dist-info/" in name}
    assert {name.split(".dist-info/")[1] for name in info} == {
        *("METADATA", "RECORD", "WHEEL"),
        *("licenses/LICENSE-APACHE", "licenses/LICENSE-MIT"),
    }
    package = {name: data for name, data in has.items() if name not in info and not name.endswith(".so")}
    assert {"hangwatch/py.typed", "hangwatch/_hangwatch.pyi"} <= set(package)
    assert package == sources(), "though it was made of the sdist: so that one is whole"
    assert set(has) - info - set(package) == {"hangwatch/_hangwatch.abi3.so"}


def test_no_folder_of_the_machine_that_built_it_is_named_in_it(wheel: Path) -> None:
    folders = {str(ROOT), str(Path.home()), os.environ.get("CARGO_HOME", ""), sys.prefix} - {"", "/"}
    # A folder's name, and not the beginning of another word.
    named = re.compile("|".join(re.escape(folder) + r"\b" for folder in sorted(folders)).encode())
    for name, data in contents(wheel).items():
        assert not named.search(data), f"{name}: {named.search(data)}"
    (extension,) = [data for name, data in contents(wheel).items() if name.endswith(".so")]
    assert b"/cargo/registry/" in extension, "it names sources of crates, so it would name that folder"


def test_the_wheels_tag_is_what_its_extension_links_against(wheel: Path) -> None:
    tag = re.fullmatch(r"hangwatch-[\d.]+-cp39-abi3-(?:manylinux2014_\w+\.)?manylinux_2_(\d+)_(\w+)\.whl", wheel.name)
    assert tag, f"{wheel.name}: for every CPython from 3.9 on, on a C library that is named"
    (extension,) = [data for name, data in contents(wheel).items() if name.endswith(".so")]
    needs = {int(minor) for minor in re.findall(rb"GLIBC_2\.(\d+)", extension)}
    assert needs and max(needs) <= int(tag[1]), f"{wheel.name} needs glibc 2.{max(needs)}"
    assert tag[2] == os.uname().machine


def test_its_metadata_is_what_an_index_takes(wheel: Path, sdist: Path) -> None:
    said = Metadata.from_email(metadata(wheel), validate=True)
    assert (said.name, said.license_expression, str(said.requires_python)) == ("hangwatch", "MIT OR Apache-2.0", ">=3.9")
    assert said.license_files == ["LICENSE-APACHE", "LICENSE-MIT"]
    assert (said.description or "").strip() == (HERE.parent / "README.md").read_text().strip(), "the description is the README"
    with tarfile.open(sdist) as archive:
        file = archive.extractfile(f"{sdist.name[: -len('.tar.gz')]}/PKG-INFO")
        assert file is not None and file.read() == metadata(wheel), "the sdist says the same"


def test_every_link_of_the_readme_leads_somewhere_in_the_sdist(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = {os.path.normpath(name.split("/", 1)[1]) for name in archive.getnames() if "/" in name}
    links = re.findall(r"\]\(([^)#:]+)\)", (HERE.parent / "README.md").read_text())
    names |= {os.path.dirname(name) for name in names}
    lost = [link for link in links if os.path.normpath(f"python/{link}") not in names]
    assert links and not lost, "in the sdist the README stands where it does here"
    assert {"Cargo.lock", "LICENSE-MIT", "LICENSE-APACHE", "python/LICENSE-MIT"} <= names
