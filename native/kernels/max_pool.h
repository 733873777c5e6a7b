// Max-pooling 2 x 2 x 2 of an activation that is computed while reading, on a CPU, in float32 and channels-last order: the
// activation need not be in memory as a tensor, and the backward pass finds the winners again instead of keeping them.
#pragma once

#include <cstdint>

#include "conv3d.h"

namespace distmis {

struct Pooling {
  int64_t batch;
  // X, Y, Z of the input; odd last voxels are left out.
  int64_t in[3];
  int64_t channels;
  int64_t Out(int axis) const { return in[axis] / 2; }
  // A row is one (batch, X, Y) of the output.
  int64_t OutputRows() const { return batch * Out(0) * Out(1); }
};

// Writes the output rows [first, last).
void MaxPool(const Pooling& pooling, const float* x, const Activation* activation, int64_t first, int64_t last, float* y);

// Writes what the output rows [first, last) contribute to the gradient with respect to the activation: all voxels of their
// blocks. The first largest value of a block gets all, as with oneDNN.
void MaxPoolGradient(const Pooling& pooling, const float* x, const Activation* activation, const float* outer, int64_t first,
                     int64_t last, float* gradient);

}  // namespace distmis
