// What a norm with its activation does to each voxel, and the sums that its statistics and gradients need, on a CPU, in
// float32 and channels-last order. With z = scale * x + shift, one scale and shift for each sample and channel, the
// activation is z where z > 0, else slope * z. Every pass reads and writes each voxel once; nothing but x is needed by the
// backward passes. Batch, group and instance norm differ only in how they pool the per-channel sums.
#pragma once

#include <cstdint>

namespace distmis {

// Sums over the voxels of one sample; each array has one value a channel.
struct ChannelSums {
  double* first;
  double* second;
};

// `voxels` voxels of `channels` values. Adds sum(x - pivot) and sum((x - pivot)^2): with a pivot near the mean the
// variance that follows loses no digits.
void AddMoments(const float* x, int64_t voxels, int64_t channels, const float* pivot, ChannelSums sums);

// y = activation(scale * x + shift); y may be x.
void ScaleShift(const float* x, int64_t voxels, int64_t channels, const float* scale, const float* shift, float slope,
                float* y);

// With g = outer * activation'(z): adds sum(g) and sum(g * (x - mean)).
void AddGradientSums(const float* x, const float* outer, int64_t voxels, int64_t channels, const float* scale,
                     const float* shift, const float* mean, float slope, ChannelSums sums);

// inner = scale * g + p * x + q; inner may be outer.
void ScaleShiftGradient(const float* x, const float* outer, int64_t voxels, int64_t channels, const float* scale,
                        const float* shift, const float* p, const float* q, float slope, float* inner);

}  // namespace distmis
