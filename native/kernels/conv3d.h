// A 3D convolution on a CPU, in float32 and channels-last order, for few channels.
//
// oneDNN's vectors lie along the channels: with AVX-512 eight of them leave half of each vector empty. Here they lie along Z,
// for which each row of voxels is laid out anew, channel by channel. On the way an activation can be computed, and several
// inputs are read as if their channels were one after the other, so neither has to be in memory as a tensor.
#pragma once

#include <cstdint>
#include <vector>

namespace distmis {

struct Conv3D {
  int64_t batch;
  // X, Y, Z of the convolution's input and output.
  int64_t in[3], out[3];
  int64_t in_channels, out_channels;
  int64_t kernel[3];
  // One for all axes.
  int64_t stride;
  // Zeros before the first voxel of each axis.
  int64_t padding[3];

  int64_t OutputRows() const { return batch * out[0] * out[1]; }
  // Whole vectors.
  int64_t PaddedOutChannels() const { return (out_channels + 7) / 8 * 8; }
  // Values in a buffer for AddFilterGradient.
  int64_t PaddedKernelSize() const {
    return kernel[0] * kernel[1] * kernel[2] * in_channels * PaddedOutChannels();
  }
};

// Applied to what is read: z = scale * x + shift, then z where z > 0, else slope * z. So an activation need not be kept for
// the backward pass when what it was computed from is. Scale and shift: one for each sample and channel.
struct Activation {
  const float* scale;
  const float* shift;
  float slope;
};

// One of the inputs whose channels follow each other: (batch, X, Y, Z, channels).
struct ConvInput {
  const float* data;
  int64_t channels;
  bool activated;
  Activation activation;
};

// Values in a buffer for Convolve, of stride 1: as many planes of the input as the kernel reaches over.
int64_t ConvolveBufferSize(const Conv3D& conv);

// Writes the planes [first, last) of the output, a plane being one (batch, X); stride 1. `kernel` is (kernel X, Y, Z, in,
// out). The buffer holds zeros.
void Convolve(const Conv3D& conv, const std::vector<ConvInput>& inputs, const float* kernel, int64_t first, int64_t last,
              float* buffer, float* output);

// Whether Convolve is faster than oneDNN on this processor.
bool ConvolveIsFaster(int64_t out_channels);

}  // namespace distmis
