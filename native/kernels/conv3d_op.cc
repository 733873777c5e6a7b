// DistmisConv3D: Convolve as a TensorFlow operation, for float32 on a CPU.
#include <algorithm>
#include <cstring>
#include <vector>

#include "conv3d.h"
#include "shards.h"
#include "tensorflow/core/framework/common_shape_fns.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/framework/shape_inference.h"

namespace distmis {
namespace {

using tensorflow::OpInputList;
using tensorflow::OpKernel;
using tensorflow::OpKernelConstruction;
using tensorflow::OpKernelContext;
using tensorflow::Tensor;
using tensorflow::TensorShape;
using tensorflow::shape_inference::InferenceContext;
using tensorflow::shape_inference::ShapeHandle;

REGISTER_OP("DistmisConv3D")
    .Input("inputs: m * float")
    .Input("kernel: float")
    .Input("coefficients: n * float")
    .Output("output: float")
    .Attr("m: int >= 1")
    .Attr("n: int >= 0 = 0")
    .Attr("slope: float = 0")
    .SetShapeFn([](InferenceContext* c) {
      int count;
      TF_RETURN_IF_ERROR(c->GetAttr("m", &count));
      ShapeHandle input, kernel;
      TF_RETURN_IF_ERROR(c->WithRank(c->input(0), 5, &input));
      TF_RETURN_IF_ERROR(c->WithRank(c->input(count), 5, &kernel));
      c->set_output(0, c->MakeShape({c->Dim(input, 0), c->Dim(input, 1), c->Dim(input, 2), c->Dim(input, 3),
                                     c->Dim(kernel, 4)}));
      return absl::OkStatus();
    })
    .Doc("Conv3D (NDHWC, SAME, stride 1, odd kernel sides) of the inputs, their channels one after the other. With "
         "coefficients, a scale and a shift (N, C), DistmisScaleShift is applied to the inputs first.");

class ConvolveOp : public OpKernel {
 public:
  explicit ConvolveOp(OpKernelConstruction* context) : OpKernel(context) {
    int count;
    OP_REQUIRES_OK(context, context->GetAttr("n", &count));
    OP_REQUIRES(context, count == 0 || count == 2, absl::InvalidArgumentError("scale and shift expected"));
    OP_REQUIRES_OK(context, context->GetAttr("slope", &slope_));
  }

  void Compute(OpKernelContext* context) override {
    OpInputList inputs, coefficients;
    OP_REQUIRES_OK(context, context->input_list("inputs", &inputs));
    OP_REQUIRES_OK(context, context->input_list("coefficients", &coefficients));
    const Tensor& kernel = context->input(inputs.size());
    OP_REQUIRES(context, inputs[0].dims() == 5 && kernel.dims() == 5, absl::InvalidArgumentError("rank 5 expected"));
    Conv3D conv;
    conv.batch = inputs[0].dim_size(0);
    conv.stride = 1;
    conv.in_channels = 0;
    conv.out_channels = kernel.dim_size(4);
    bool odd = true;
    for (int axis = 0; axis < 3; axis++) {
      conv.in[axis] = conv.out[axis] = inputs[0].dim_size(axis + 1);
      conv.kernel[axis] = kernel.dim_size(axis);
      conv.padding[axis] = conv.kernel[axis] / 2;
      odd = odd && conv.kernel[axis] % 2 == 1;
    }
    std::vector<ConvInput> parts;
    for (const Tensor& input : inputs) {
      bool same = input.dims() == 5;
      for (int axis = 0; same && axis < 4; axis++) same = input.dim_size(axis) == inputs[0].dim_size(axis);
      OP_REQUIRES(context, same, absl::InvalidArgumentError("inputs of one size expected"));
      parts.push_back({input.flat<float>().data(), input.dim_size(4)});
      conv.in_channels += input.dim_size(4);
    }
    // A kernel's reach is what a row's padding has room for.
    OP_REQUIRES(context, odd && conv.kernel[2] <= 8 && kernel.dim_size(3) == conv.in_channels,
                absl::InvalidArgumentError("kernel " + kernel.shape().DebugString() + " for " +
                                           std::to_string(conv.in_channels) + " channels: odd sides up to 7 expected"));
    Activation activation;
    if (coefficients.size() == 2) {
      const int64_t values = conv.batch * conv.in_channels;
      OP_REQUIRES(context, coefficients[0].NumElements() == values && coefficients[1].NumElements() == values,
                  absl::InvalidArgumentError("scale and shift need a value for each sample and channel"));
      activation = {coefficients[0].flat<float>().data(), coefficients[1].flat<float>().data(), slope_};
    }
    Tensor* output = nullptr;
    OP_REQUIRES_OK(context, context->allocate_output(
                                0, TensorShape({conv.batch, conv.out[0], conv.out[1], conv.out[2], conv.out_channels}),
                                &output));
    const int64_t planes = conv.batch * conv.out[0];
    const int64_t shards = ShardCount(context, planes);
    const int64_t size = ConvolveBufferSize(conv);
    Tensor buffers;
    OP_REQUIRES_OK(context, context->allocate_temp(tensorflow::DT_FLOAT, TensorShape({shards, size}), &buffers));
    float* all = buffers.flat<float>().data();
    ForEachShard(context, shards, planes, [&](int64_t shard, int64_t first, int64_t last) {
      std::memset(all + shard * size, 0, size * sizeof(float));
      Convolve(conv, parts, kernel.flat<float>().data(), coefficients.size() == 2 ? &activation : nullptr, first, last,
               all + shard * size, output->flat<float>().data());
    });
  }

 private:
  float slope_;
};

REGISTER_KERNEL_BUILDER(Name("DistmisConv3D").Device(tensorflow::DEVICE_CPU), ConvolveOp);

}  // namespace
}  // namespace distmis
