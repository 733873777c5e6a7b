// How an operation's work is laid over TensorFlow's threads: in as many equal parts as there are threads, so that sums over
// the parts, added in order, are the same in every run with that number of threads.
#pragma once

#include <algorithm>
#include <cstdint>

#include "tensorflow/core/framework/op_kernel.h"

namespace distmis {

inline int64_t ShardCount(tensorflow::OpKernelContext* context, int64_t items) {
  const int64_t threads = context->device()->tensorflow_cpu_worker_threads()->num_threads;
  return std::max<int64_t>(1, std::min(threads, items));
}

// Calls work(shard, first item, last item + 1), at once on several threads, and returns when all are done.
template <typename Work>
void ForEachShard(tensorflow::OpKernelContext* context, int64_t shards, int64_t items, const Work& work) {
  using tensorflow::thread::ThreadPool;
  const ThreadPool::SchedulingParams one_by_one(ThreadPool::SchedulingStrategy::kFixedBlockSize, std::nullopt, 1);
  context->device()->tensorflow_cpu_worker_threads()->workers->ParallelFor(
      shards, one_by_one, [&](int64_t begin, int64_t end) {
        for (int64_t shard = begin; shard < end; shard++) {
          work(shard, items * shard / shards, items * (shard + 1) / shards);
        }
      });
}

}  // namespace distmis
