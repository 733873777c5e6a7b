// The gradient of a 3D convolution with respect to its kernel, on a CPU, in float32 and channels-last order.
//
// oneDNN has no direct kernel for it in this order below AVX-512: it copies every window (im2col) and multiplies matrices
// of a few columns, which takes more than half of a 3D U-Net's training step. Here each row of voxels is read where it
// lies and the sums stay in registers.
#pragma once

#include <cstdint>

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

// Adds to `gradient`, (kernel X, Y, Z, in, padded out), what the output rows [first, last) contribute; a row is one
// (batch, X, Y). `input` is (batch, X, Y, Z, in), `outer`, the gradient with respect to the output, (batch, X, Y, Z, out);
// the activation, if any, is that of `outer`.
void AddFilterGradient(const Conv3D& conv, const float* input, const float* outer, const Activation* activation,
                       int64_t first, int64_t last, float* gradient);

// Whether AddFilterGradient is faster than oneDNN on this processor: on x86-64 with AVX2, and with AVX-512, for which oneDNN
// has a direct kernel, where there are too few channels to fill that kernel's vectors of 16.
bool FilterGradientIsFaster(int64_t in_channels, int64_t out_channels, int64_t stride);

}  // namespace distmis
