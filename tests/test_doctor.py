"""The doctor names the trouble and the remedy, and is silent where all is well."""

import builtins

import pytest
import torchvision

from course_lib.cli import doctor


def test_all_checks_pass_in_the_course_environment(capsys):
    assert doctor.doctor()
    assert capsys.readouterr().out == "All 6 checks passed: the course can run here.\n"


def test_old_python_is_named():
    assert doctor.check_python((3, 11)) is None
    assert "3.10" in doctor.check_python((3, 10)) and "make lab" in doctor.check_python((3, 10))


def test_missing_package_is_named():
    trouble = doctor.check_packages(("torch", "no_such_package"))
    assert "no_such_package" in trouble and "torch " not in trouble and "make lab" in trouble


def test_torchvision_mismatch_is_explained(monkeypatch):
    def broken(*args):
        raise RuntimeError("operator torchvision::nms does not exist\nlong trace")

    monkeypatch.setattr(torchvision.ops, "nms", broken)
    trouble = doctor.check_nms()
    assert "operator torchvision::nms does not exist" in trouble and "long trace" not in trouble
    assert "pip install --force-reinstall torch torchvision" in trouble


def test_kernel_without_the_course(monkeypatch):
    def absent(name):
        raise doctor.importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(doctor.importlib.metadata, "version", absent)
    assert "Change Kernel" in doctor.check_kernel("some/python")


@pytest.fixture
def copy(tmp_path):
    """A folder with a course_lib of its own and a working copy, as an unpacked second course has them."""
    (tmp_path / "course_lib").mkdir()
    (tmp_path / "course_lib" / "__init__.py").write_text("")
    (tmp_path / "my_course").mkdir()
    return tmp_path


def test_notebooks_that_would_import_another_copy(copy):
    """The kernel is started in my_course/, where only the installed copy can be imported."""
    trouble = doctor.check_kernel(root=copy)
    assert f"another copy of course_lib, from {doctor.ROOT}: run `{doctor.kernel_python()} -m pip install" in trouble
    assert trouble.endswith(f"-e .` in {copy}.") and "\n" not in trouble


def test_notebooks_that_would_import_none(copy, monkeypatch):
    monkeypatch.setattr(doctor, "kernel_python", lambda: str(copy / "no-python"))
    assert "cannot import course_lib (it cannot be started: FileNotFoundError): run" in doctor.check_kernel(root=copy)
    bare = copy / "python"
    bare.write_text("#!/bin/sh\necho \"ModuleNotFoundError: No module named 'course_lib'\" >&2\nexit 1\n")
    bare.chmod(0o755)
    monkeypatch.setattr(doctor, "kernel_python", lambda: str(bare))
    if doctor.os.name == "posix":
        assert "cannot import course_lib (ModuleNotFoundError: No module named" in doctor.check_kernel(root=copy)


def test_a_kernel_that_runs_another_copys_notebook(copy, monkeypatch):
    monkeypatch.setitem(doctor.sys.modules, "ipykernel.kernelapp", doctor)
    monkeypatch.chdir(copy / "my_course")
    assert f"another copy of course_lib, from {doctor.ROOT}" in doctor.check_kernel()
    monkeypatch.chdir(doctor.ROOT / "notebooks")
    assert doctor.check_kernel() is None


def test_the_kernels_python_is_the_one_that_jupyter_names(monkeypatch, tmp_path):
    spec = tmp_path / "kernels" / "python3" / "kernel.json"
    spec.parent.mkdir(parents=True)
    spec.write_text(
        '{"argv": ["/opt/other/python", "-m", "ipykernel_launcher"], "display_name": "x", "language": "python"}'
    )
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    assert doctor.kernel_python() == "/opt/other/python"


def test_data_folder_that_cannot_be_written(tmp_path):
    assert doctor.check_data(tmp_path / "data") is None
    assert list((tmp_path / "data").iterdir()) == []  # the probe is gone
    in_the_way = tmp_path / "file"
    in_the_way.write_text("")
    assert "copy the course" in doctor.check_data(in_the_way)


def test_little_memory():
    assert doctor.check_memory(3_000_000_000) is None
    assert "only 1.0 GB" in doctor.check_memory(1_000_000_000)


def test_trouble_makes_the_command_fail(monkeypatch, capsys):
    monkeypatch.setitem(doctor.CHECKS, "memory", lambda: "too little: close something.")
    assert not doctor.doctor()
    assert "memory: too little: close something." in capsys.readouterr().out


def test_memory_unknown_counts_as_enough(monkeypatch):
    real = builtins.__import__

    def no_psutil(name, *args, **kwargs):
        if name == "psutil":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", no_psutil)
    assert doctor.check_memory() is None


@pytest.mark.parametrize("name", doctor.CHECKS)
def test_every_check_says_what_to_do(name):
    assert doctor.CHECKS[name].__doc__
