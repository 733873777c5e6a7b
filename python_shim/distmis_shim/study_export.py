"""`python -m distmis_shim.study_export FILE`: writes the study on standard input (StudyRecord) into a file that
optuna-dashboard opens: Optuna's journal or, far slower to write, an SQLite database (.db)."""

import contextlib
import os
import sys
from pathlib import Path

import optuna
from optuna.storages import BaseStorage

from distmis_shim.contract import study_pb as pb
from distmis_shim.study import direction_of
from distmis_shim.study_record import main, trials

_SQLITE = (".db", ".sqlite", ".sqlite3")


def _storage(file: Path) -> BaseStorage:
    if file.suffix in _SQLITE:
        return optuna.storages.RDBStorage(f"sqlite:///{file}")
    return optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(file)))


def export(record: pb.StudyRecord, file: Path) -> None:
    """Raises InvalidRequest, and OSError: also where the file exists, so that nothing of others is lost."""
    if file.exists():
        raise FileExistsError(f"{file} exists: delete it, or name another file")
    found = trials(record)
    # Whole or not at all.
    partial = file.with_name(f".{os.getpid()}-{file.name}")
    try:
        partial.touch()
        storage = _storage(partial)
        study = optuna.create_study(study_name=record.open.name, direction=direction_of(record.open), storage=storage)
        study.add_trials(found)
        storage.remove_session()
        os.link(partial, file)
    finally:
        for left in (partial, Path(f"{partial}.lock")):
            with contextlib.suppress(FileNotFoundError):
                left.unlink()


if __name__ == "__main__":
    sys.exit(main(lambda record: export(record, Path(sys.argv[1]))))
