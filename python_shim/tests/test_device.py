"""The names of what computes, from files as the kernel and NVIDIA's driver write them."""

import platform

from distmis_shim import device


def test_gpus_by_their_driver(tmp_path):
    assert device.gpu_model(str(tmp_path / "none")) == ""
    for bus, model in (
        ("0000:01:00.0", "NVIDIA H200"),
        ("0000:02:00.0", "NVIDIA H200"),
        ("0000:03:00.0", "NVIDIA A100"),
    ):
        (tmp_path / bus).mkdir()
        text = f"Model: \t\t {model}\nIRQ:   \t\t 42\nGPU UUID: \t GPU-1\n"
        (tmp_path / bus / "information").write_text(text)
    assert device.gpu_model(str(tmp_path)) == "NVIDIA A100 / NVIDIA H200"


def test_a_cpu_by_the_kernel_or_its_architecture(tmp_path):
    info = tmp_path / "cpuinfo"
    assert device.cpu_model(str(info)) == platform.machine()
    info.write_text(
        "processor\t: 0\nmodel\t\t: 17\nmodel name\t: AMD EPYC 7742  64-Core: Processor\n\nprocessor\t: 1\n"
    )
    assert device.cpu_model(str(info)) == "AMD EPYC 7742 64-Core: Processor"
    info.write_text("processor\t: 0\nCPU part\t: 0xd0c\n")
    assert device.cpu_model(str(info)) == platform.machine()


def test_a_kind_of_gpu_by_rays_resources():
    assert device.accelerator_type({"CPU": 8, "accelerator_type:H200": 1, "GPU": 4}) == "H200"
    assert device.accelerator_type({"CPU": 8, "GPU": 4}) == ""
