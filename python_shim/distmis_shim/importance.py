"""`python -m distmis_shim.importance`: how much each parameter of the study on standard input (StudyRecord) decides on
whether a trial is among the best, by PED-ANOVA (Watanabe, Bansal and Hutter, IJCAI 2023),
also one that only some trials have. Prints JSON: {parameter: share}, which add up to 1, the largest first; empty where
the trials do not differ."""

import json
import sys

import optuna
from optuna.importance import PedAnovaImportanceEvaluator
from optuna.trial import TrialState

from distmis_shim.contract import study_pb as pb
from distmis_shim.study import direction_of
from distmis_shim.study_record import main, trials

# The best tenth as Optuna has it, but no fewer trials: of one or two, the density is the estimator's own.
BEST_SHARE = 0.1
LEAST_BEST = 8


def importance(record: pb.StudyRecord) -> dict[str, float]:
    """Raises InvalidRequest."""
    study = optuna.create_study(direction=direction_of(record.open))
    completed = [trial for trial in trials(record) if trial.state == TrialState.COMPLETE]
    study.add_trials(completed)
    share = max(BEST_SHARE, LEAST_BEST / max(1, len(completed)))
    if share >= 1:
        return {}
    evaluator = PedAnovaImportanceEvaluator(target_quantile=share)
    found = optuna.importance.get_param_importances(study, evaluator=evaluator, normalize=False)
    total = sum(found.values())
    return {} if total == 0 else {name: value / total for name, value in found.items()}


if __name__ == "__main__":
    sys.exit(main(lambda record: print(json.dumps(importance(record)))))
