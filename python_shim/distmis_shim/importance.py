"""`python -m distmis_shim.importance`: how much each parameter of the study on standard input (StudyRecord) decides on
whether a trial is among the best tenth, by PED-ANOVA (Watanabe, Bansal and Hutter, IJCAI 2023),
also one that only some trials have. Prints JSON: {parameter: share}, which add up to 1, the largest first."""

import json
import sys

import optuna
from optuna.trial import TrialState

from distmis_shim.contract import study_pb as pb
from distmis_shim.study import direction_of
from distmis_shim.study_record import main, trials


def importance(record: pb.StudyRecord) -> dict[str, float]:
    """Raises InvalidRequest."""
    study = optuna.create_study(direction=direction_of(record.open))
    study.add_trials([trial for trial in trials(record) if trial.state == TrialState.COMPLETE])
    return optuna.importance.get_param_importances(study)


if __name__ == "__main__":
    sys.exit(main(lambda record: print(json.dumps(importance(record)))))
