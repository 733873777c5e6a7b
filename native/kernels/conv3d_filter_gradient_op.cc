// DistmisConv3DFilterGradient: AddFilterGradient as a TensorFlow operation, for float32 on a CPU.
#include <algorithm>
#include <cstring>
#include <vector>

#include "conv3d_filter_gradient.h"
#include "op.h"

namespace distmis {
namespace {

REGISTER_OP("DistmisConv3DFilterGradient")
    .Input("input: float")
    .Input("outer: float")
    .Input("coefficients: n * float")
    .Output("gradient: float")
    .Attr("kernel: list(int)")
    .Attr("stride: int = 1")
    .Attr("n: int >= 0")
    .Attr("activated: {'none', 'input', 'outer'} = 'none'")
    .Attr("slope: float = 0")
    .SetShapeFn([](InferenceContext* c) {
      ShapeHandle input, outer;
      TF_RETURN_IF_ERROR(c->WithRank(c->input(0), 5, &input));
      TF_RETURN_IF_ERROR(c->WithRank(c->input(1), 5, &outer));
      std::vector<tensorflow::int32> kernel;
      TF_RETURN_IF_ERROR(c->GetAttr("kernel", &kernel));
      std::vector<DimensionHandle> dims;
      for (int side : kernel) dims.push_back(c->MakeDim(side));
      dims.push_back(c->Dim(input, 4));
      dims.push_back(c->Dim(outer, 4));
      c->set_output(0, c->MakeShape(dims));
      return absl::OkStatus();
    })
    .Doc("Gradient of Conv3D (NDHWC, SAME) with respect to its kernel. `outer` is the gradient with respect to its output. "
         "Where one of the two is `activated`, DistmisScaleShift with these coefficients, scale and shift, is applied to it.");

class FilterGradientOp : public OpKernel {
 public:
  explicit FilterGradientOp(OpKernelConstruction* context) : OpKernel(context) {
    OP_REQUIRES_OK(context, context->GetAttr("kernel", &kernel_));
    OP_REQUIRES_OK(context, context->GetAttr("stride", &stride_));
    std::string activated;
    OP_REQUIRES_OK(context, context->GetAttr("activated", &activated));
    input_activated_ = activated == "input";
    outer_activated_ = activated == "outer";
    OP_REQUIRES(context, context->num_inputs() == (activated == "none" ? 2 : 4),
                absl::InvalidArgumentError("scale and shift expected where something is activated"));
    OP_REQUIRES_OK(context, context->GetAttr("slope", &slope_));
    OP_REQUIRES(context, kernel_.size() == 3 && stride_ >= 1, absl::InvalidArgumentError("kernel or stride"));
  }

  void Compute(OpKernelContext* context) override {
    const Tensor& input = context->input(0);
    const Tensor& outer = context->input(1);
    OP_REQUIRES(context, input.dims() == 5 && outer.dims() == 5, absl::InvalidArgumentError("rank 5 expected"));
    Conv3D conv;
    conv.batch = input.dim_size(0);
    conv.stride = stride_;
    conv.in_channels = input.dim_size(4);
    conv.out_channels = outer.dim_size(4);
    bool same = outer.dim_size(0) == conv.batch;
    bool centred = stride_ == 1;
    for (int axis = 0; axis < 3; axis++) {
      conv.in[axis] = input.dim_size(axis + 1);
      conv.out[axis] = outer.dim_size(axis + 1);
      conv.kernel[axis] = kernel_[axis];
      same = same && conv.out[axis] == (conv.in[axis] + stride_ - 1) / stride_;
      // TensorFlow's SAME: the odd zero comes after the last voxel.
      conv.padding[axis] =
          std::max<int64_t>((conv.out[axis] - 1) * stride_ + kernel_[axis] - conv.in[axis], 0) / 2;
      centred = centred && kernel_[axis] % 2 == 1;
    }
    OP_REQUIRES(context, same, absl::InvalidArgumentError("shapes of a SAME convolution expected"));
    Tensor* gradient = nullptr;
    OP_REQUIRES_OK(context, context->allocate_output(0,
                                                     TensorShape({kernel_[0], kernel_[1], kernel_[2],
                                                                  conv.in_channels, conv.out_channels}),
                                                     &gradient));
    // Vectors lie along the output's channels, and the activation is applied on that side: where the output has few
    // channels, as before the last logit, or the input is to be activated, the two sides change places, which mirrors the
    // kernel.
    const bool few = conv.out_channels % 8 != 0 && conv.in_channels % 8 == 0;
    const bool swapped = centred && (input_activated_ || (few && !outer_activated_));
    OP_REQUIRES(context, swapped || !input_activated_,
                absl::UnimplementedError("an activated input needs stride 1 and odd kernel sides"));
    if (swapped) std::swap(conv.in_channels, conv.out_channels);
    Activation activation;
    const bool activated = input_activated_ || outer_activated_;
    if (activated) {
      const int64_t values = conv.batch * conv.out_channels;
      OP_REQUIRES(context, context->input(2).NumElements() == values && context->input(3).NumElements() == values,
                  absl::InvalidArgumentError("scale and shift need a value for each sample and channel"));
      activation = {context->input(2).flat<float>().data(), context->input(3).flat<float>().data(), slope_};
    }
    const float* x = (swapped ? outer : input).flat<float>().data();
    const float* d = (swapped ? input : outer).flat<float>().data();

    // Each shard has its own sum; they are added in order, so the result depends on nothing but their number.
    const int64_t rows = conv.OutputRows();
    const int64_t shards = ShardCount(context, rows);
    const int64_t size = conv.PaddedKernelSize();
    Tensor sums;
    OP_REQUIRES_OK(context, context->allocate_temp(tensorflow::DT_FLOAT, TensorShape({shards, size}), &sums));
    float* all = sums.flat<float>().data();
    ForEachShard(context, shards, rows, [&](int64_t shard, int64_t first, int64_t last) {
      float* sum = all + shard * size;
      std::memset(sum, 0, size * sizeof(float));
      AddFilterGradient(conv, x, d, activated ? &activation : nullptr, first, last, sum);
    });
    for (int64_t shard = 1; shard < shards; shard++) {
      for (int64_t i = 0; i < size; i++) all[i] += all[shard * size + i];
    }
    Write(conv, swapped, all, gradient->flat<float>().data());
  }

 private:
  static void Write(const Conv3D& conv, bool swapped, const float* padded, float* out) {
    const int64_t positions = conv.kernel[0] * conv.kernel[1] * conv.kernel[2];
    const int64_t ci = conv.in_channels, co = conv.out_channels, width = conv.PaddedOutChannels();
    for (int64_t p = 0; p < positions; p++) {
      for (int64_t i = 0; i < ci; i++) {
        const float* from = padded + (p * ci + i) * width;
        if (!swapped) {
          std::memcpy(out + (p * ci + i) * co, from, co * sizeof(float));
        } else {
          for (int64_t o = 0; o < co; o++) out[((positions - 1 - p) * co + o) * ci + i] = from[o];
        }
      }
    }
  }

  std::vector<tensorflow::int32> kernel_;
  tensorflow::int32 stride_;
  float slope_;
  bool input_activated_, outer_activated_;
};

REGISTER_KERNEL_BUILDER(Name("DistmisConv3DFilterGradient").Device(tensorflow::DEVICE_CPU), FilterGradientOp);

}  // namespace
}  // namespace distmis
