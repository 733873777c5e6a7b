// DistmisMaxPool and DistmisMaxPoolGradient: max_pool.h as TensorFlow operations, for float32 on a CPU.
#include <cstring>
#include <vector>

#include "max_pool.h"
#include "op.h"

namespace distmis {
namespace {

REGISTER_OP("DistmisMaxPool")
    .Input("x: float")
    .Input("coefficients: n * float")
    .Output("y: float")
    .Attr("n: int >= 0 = 0")
    .Attr("slope: float = 0")
    .SetShapeFn([](InferenceContext* c) {
      ShapeHandle x;
      TF_RETURN_IF_ERROR(c->WithRank(c->input(0), 5, &x));
      std::vector<DimensionHandle> dims = {c->Dim(x, 0)};
      for (int axis = 1; axis < 4; axis++) {
        DimensionHandle half;
        TF_RETURN_IF_ERROR(c->Divide(c->Dim(x, axis), 2, /*evenly_divisible=*/false, &half));
        dims.push_back(half);
      }
      dims.push_back(c->Dim(x, 4));
      c->set_output(0, c->MakeShape(dims));
      return absl::OkStatus();
    })
    .Doc("Largest value of each 2 x 2 x 2 block (NDHWC); with coefficients, a scale and a shift (N, C), of "
         "DistmisScaleShift of x.");

REGISTER_OP("DistmisMaxPoolGradient")
    .Input("x: float")
    .Input("outer: float")
    .Input("coefficients: n * float")
    .Output("gradient: float")
    .Attr("n: int >= 0 = 0")
    .Attr("slope: float = 0")
    .SetShapeFn([](InferenceContext* c) {
      ShapeHandle x;
      TF_RETURN_IF_ERROR(c->WithRank(c->input(0), 5, &x));
      c->set_output(0, x);
      return absl::OkStatus();
    })
    .Doc("Gradient of DistmisMaxPool with respect to what is pooled.");

class PoolOp : public OpKernel {
 public:
  explicit PoolOp(OpKernelConstruction* context) : OpKernel(context) {
    int count;
    OP_REQUIRES_OK(context, context->GetAttr("n", &count));
    OP_REQUIRES(context, count == 0 || count == 2, absl::InvalidArgumentError("scale and shift expected"));
    OP_REQUIRES_OK(context, context->GetAttr("slope", &slope_));
  }

 protected:
  struct Given {
    Pooling pooling;
    TensorShape output;
    Activation activation;
    bool activated;
    const Activation* Active() const { return activated ? &activation : nullptr; }
  };

  // False, with the context's status set, where shapes don't fit.
  bool Read(OpKernelContext* context, Given* given) const {
    const Tensor& x = context->input(0);
    OpInputList coefficients;
    absl::Status status = context->input_list("coefficients", &coefficients);
    if (status.ok() && x.dims() != 5) status = absl::InvalidArgumentError("rank 5 expected");
    if (status.ok()) {
      given->pooling = {x.dim_size(0), {x.dim_size(1), x.dim_size(2), x.dim_size(3)}, x.dim_size(4)};
      const Pooling& p = given->pooling;
      given->output = TensorShape({p.batch, p.Out(0), p.Out(1), p.Out(2), p.channels});
      given->activated = coefficients.size() == 2;
      for (int i = 0; i < coefficients.size() && status.ok(); i++) {
        if (coefficients[i].NumElements() != p.batch * p.channels) {
          status = absl::InvalidArgumentError("scale and shift need a value for each sample and channel");
        }
      }
    }
    if (!status.ok()) {
      context->CtxFailure(status);
      return false;
    }
    if (given->activated) {
      given->activation = {coefficients[0].flat<float>().data(), coefficients[1].flat<float>().data(), slope_};
    }
    return true;
  }

  float slope_;
};

class MaxPoolOp : public PoolOp {
 public:
  using PoolOp::PoolOp;
  void Compute(OpKernelContext* context) override {
    Given given;
    if (!Read(context, &given)) return;
    Tensor* y = nullptr;
    OP_REQUIRES_OK(context, context->allocate_output(0, given.output, &y));
    const int64_t rows = given.pooling.OutputRows();
    ForEachShard(context, ShardCount(context, rows), rows, [&](int64_t, int64_t first, int64_t last) {
      MaxPool(given.pooling, context->input(0).flat<float>().data(), given.Active(), first, last,
              y->flat<float>().data());
    });
  }
};

class MaxPoolGradientOp : public PoolOp {
 public:
  using PoolOp::PoolOp;
  void Compute(OpKernelContext* context) override {
    Given given;
    if (!Read(context, &given)) return;
    OP_REQUIRES(context, context->input(1).shape() == given.output,
                absl::InvalidArgumentError("outer has shape " + context->input(1).shape().DebugString() + ", expected " +
                                           given.output.DebugString()));
    Tensor* gradient = nullptr;
    OP_REQUIRES_OK(context, context->allocate_output(0, context->input(0).shape(), &gradient));
    float* to = gradient->flat<float>().data();
    const Pooling& p = given.pooling;
    // Voxels outside of all blocks get nothing.
    if (p.in[0] % 2 + p.in[1] % 2 + p.in[2] % 2 > 0) std::memset(to, 0, gradient->NumElements() * sizeof(float));
    const int64_t rows = p.OutputRows();
    ForEachShard(context, ShardCount(context, rows), rows, [&](int64_t, int64_t first, int64_t last) {
      MaxPoolGradient(p, context->input(0).flat<float>().data(), given.Active(), context->input(1).flat<float>().data(),
                      first, last, to);
    });
  }
};

REGISTER_KERNEL_BUILDER(Name("DistmisMaxPool").Device(tensorflow::DEVICE_CPU), MaxPoolOp);
REGISTER_KERNEL_BUILDER(Name("DistmisMaxPoolGradient").Device(tensorflow::DEVICE_CPU), MaxPoolGradientOp);

}  // namespace
}  // namespace distmis
