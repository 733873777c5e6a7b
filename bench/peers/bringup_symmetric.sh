# `ray symmetric-run`, as Ray's documentation of SLURM has it.
head_node=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
ip_head=$(getent ahostsv4 "$head_node" | awk '{print $1; exit}'):6379

srun --nodes="$SLURM_JOB_NUM_NODES" --ntasks="$SLURM_JOB_NUM_NODES" \
  ray symmetric-run --address "$ip_head" --min-nodes "$SLURM_JOB_NUM_NODES" --num-cpus=8 -- \
  python -u bench/peers/bringup_usable.py "$SLURM_JOB_NUM_NODES" "$ip_head"
