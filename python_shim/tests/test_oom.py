"""Where the kernel counts its out-of-memory kills."""

from distmis_shim import oom


def _write(file, text):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def test_finds_the_counters_of_both_versions_of_cgroups(tmp_path):
    _write(tmp_path / "job/7/memory.events", "low 0\noom 5\noom_kill 2\n")
    _write(tmp_path / "memory/job/7/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n")
    own = "4:cpu,memory:/job/7\n1:cpu:/\n0::/job/7\n"
    files = oom.counter_files(own, tmp_path)
    assert len(files) == 2
    assert oom.kills(files) == 5


def test_inside_a_container_the_root_is_the_own_cgroup(tmp_path):
    _write(tmp_path / "memory.events", "oom_kill 1\n")
    assert oom.kills(oom.counter_files("0::/outside/7\n", tmp_path)) == 1


def test_what_cannot_be_read_counts_nothing(tmp_path):
    assert oom.counter_files("0::/x\n", tmp_path) == []
    assert oom.kills([tmp_path / "absent"]) == 0
    assert isinstance(oom.kills(oom.own_counter_files()), int)
