# How DistMIS's batch script starts Ray (its slurm script, after Ray's documentation of 2020), without the options that Ray has
# dropped since (--redis-password).
nodes=$(scontrol show hostnames "$SLURM_JOB_NODELIST")
nodes_array=($nodes)

node_1=${nodes_array[0]}
ip=$(srun --nodes=1 --ntasks=1 -w "$node_1" hostname --ip-address)
port=6379
ip_head=$ip:$port

srun --nodes=1 --ntasks=1 -w "$node_1" ray start --head --num-cpus 8 --node-ip-address="$ip" --port=$port --block &
sleep 30

worker_num=$((SLURM_JOB_NUM_NODES - 1))
for ((i = 1; i <= worker_num; i++)); do
  srun --nodes=1 --ntasks=1 -w "${nodes_array[$i]}" ray start --num-cpus 8 --address "$ip_head" --block &
  sleep 5
done

python bench/peers/bringup_usable.py "$SLURM_JOB_NUM_NODES" "$ip_head"
kill $(jobs -p)
wait
