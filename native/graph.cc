#include "graph.h"

#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "context.h"
#include "napi.h"
#include "tensorflow/c/c_api.h"
#include "tensorflow/c/eager/c_api.h"

namespace distmis {
namespace {

struct Graph {
  TF_Graph* graph = TF_NewGraph();
  // A tensor's id in JavaScript is its index here.
  std::vector<TF_Output> tensors;
  // Operations that must run for their side effect, whether or not an output needs them; each waits for the one before.
  std::vector<TF_Operation*> kept;
  size_t operations = 0;
  Graph() = default;
  Graph(const Graph&) = delete;
  ~Graph() { Free(); }
  void Free() {
    if (graph != nullptr) TF_DeleteGraph(graph);
    graph = nullptr;
    tensors.clear();
    kept.clear();
  }
  std::string NextName() { return "n" + std::to_string(operations++); }
  TF_Output At(int64_t id) const {
    if (id < 0 || static_cast<size_t>(id) >= tensors.size()) Fail("no tensor " + std::to_string(id) + " in this graph");
    return tensors[id];
  }
};

void DeleteGraph(napi_env, void* data, void*) { delete static_cast<Graph*>(data); }

Graph* ToGraph(napi_env env, napi_value value) {
  void* out = nullptr;
  Check(napi_get_value_external(env, value, &out), "a graph");
  Graph* g = static_cast<Graph*>(out);
  if (g->graph == nullptr) Fail("the graph has been freed");
  return g;
}

// {id, dtype, shape} of an output; a dimension that TensorFlow could not infer is -1, an unknown rank has shape null.
napi_value Describe(napi_env env, Graph* g, TF_Output output) {
  Status status = NewStatus();
  napi_value info, shape;
  napi_create_object(env, &info);
  napi_set_named_property(env, info, "id", Number(env, static_cast<double>(g->tensors.size())));
  napi_set_named_property(env, info, "dtype", Number(env, TF_OperationOutputType(output)));
  int rank = TF_GraphGetTensorNumDims(g->graph, output, status.get());
  CheckTf(status, "shape");
  if (rank < 0) {
    napi_get_null(env, &shape);
  } else {
    std::vector<int64_t> dims(rank);
    TF_GraphGetTensorShape(g->graph, output, dims.data(), rank, status.get());
    CheckTf(status, "shape");
    napi_create_array_with_length(env, rank, &shape);
    for (int i = 0; i < rank; i++) napi_set_element(env, shape, i, Number(env, static_cast<double>(dims[i])));
  }
  napi_set_named_property(env, info, "shape", shape);
  g->tensors.push_back(output);
  return info;
}

// Attributes as tfjs writes them: {name, type, value}, a list where value is an array.
void SetAttribute(napi_env env, TF_OperationDescription* op, napi_value attribute) {
  const std::string key = ToString(env, Get(env, attribute, "name"));
  const char* name = key.c_str();
  const napi_value value = Get(env, attribute, "value");
  const bool list = IsArray(env, value);
  switch (static_cast<TF_AttrType>(ToInt(env, Get(env, attribute, "type")))) {
    case TF_ATTR_STRING: {
      const std::string text = ToString(env, value);
      TF_SetAttrString(op, name, text.data(), text.size());
      return;
    }
    case TF_ATTR_INT:
      if (list) {
        const auto values = ToVector(env, value, ToInt);
        TF_SetAttrIntList(op, name, values.data(), static_cast<int>(values.size()));
      } else {
        TF_SetAttrInt(op, name, ToInt(env, value));
      }
      return;
    case TF_ATTR_FLOAT:
      if (list) {
        const auto doubles = ToVector(env, value, ToDouble);
        const std::vector<float> values(doubles.begin(), doubles.end());
        TF_SetAttrFloatList(op, name, values.data(), static_cast<int>(values.size()));
      } else {
        TF_SetAttrFloat(op, name, static_cast<float>(ToDouble(env, value)));
      }
      return;
    case TF_ATTR_BOOL:
      if (list) {
        const auto flags = ToVector(env, value, ToBool);
        const std::vector<unsigned char> values(flags.begin(), flags.end());
        TF_SetAttrBoolList(op, name, values.data(), static_cast<int>(values.size()));
      } else {
        TF_SetAttrBool(op, name, ToBool(env, value) ? 1 : 0);
      }
      return;
    case TF_ATTR_TYPE:
      if (list) {
        const auto numbers = ToVector(env, value, ToInt);
        std::vector<TF_DataType> values;
        for (int64_t n : numbers) values.push_back(static_cast<TF_DataType>(n));
        TF_SetAttrTypeList(op, name, values.data(), static_cast<int>(values.size()));
      } else {
        TF_SetAttrType(op, name, static_cast<TF_DataType>(ToInt(env, value)));
      }
      return;
    case TF_ATTR_SHAPE: {
      const auto dims = ToVector(env, value, ToInt);
      TF_SetAttrShape(op, name, dims.data(), static_cast<int>(dims.size()));
      return;
    }
    default:
      Fail("attribute " + key + " has a type that can't be traced");
  }
}

// graphNew() -> graph
napi_value GraphNew(napi_env env, const std::vector<napi_value>&) {
  napi_value out;
  Check(napi_create_external(env, new Graph(), DeleteGraph, nullptr, &out), "memory for a graph");
  return out;
}

// graphPlaceholder(graph, dtype, shape) -> {id, dtype, shape}
napi_value GraphPlaceholder(napi_env env, const std::vector<napi_value>& args) {
  Graph* g = ToGraph(env, args[0]);
  const auto dims = ToVector(env, args[2], ToInt);
  TF_OperationDescription* op = TF_NewOperation(g->graph, "Placeholder", g->NextName().c_str());
  TF_SetAttrType(op, "dtype", static_cast<TF_DataType>(ToInt(env, args[1])));
  TF_SetAttrShape(op, "shape", dims.data(), static_cast<int>(dims.size()));
  Status status = NewStatus();
  TF_Operation* done = TF_FinishOperation(op, status.get());
  CheckTf(status, "Placeholder");
  return Describe(env, g, {done, 0});
}

// graphConst(graph, dtype, shape, bytes: Uint8Array, device) -> {id, dtype, shape}
napi_value GraphConst(napi_env env, const std::vector<napi_value>& args) {
  Graph* g = ToGraph(env, args[0]);
  const TF_DataType dtype = static_cast<TF_DataType>(ToInt(env, args[1]));
  const auto dims = ToVector(env, args[2], ToInt);
  napi_typedarray_type type;
  size_t length = 0, offset = 0;
  void* data = nullptr;
  napi_value buffer;
  Check(napi_get_typedarray_info(env, args[3], &type, &length, &data, &buffer, &offset), "a Uint8Array");
  size_t expected = TF_DataTypeSize(dtype);
  for (int64_t d : dims) expected *= static_cast<size_t>(d);
  if (type != napi_uint8_array || length != expected) Fail("a constant's bytes don't fill its shape");
  std::unique_ptr<TF_Tensor, decltype(&TF_DeleteTensor)> tensor(
      TF_AllocateTensor(dtype, dims.data(), static_cast<int>(dims.size()), length), TF_DeleteTensor);
  if (length > 0) std::memcpy(TF_TensorData(tensor.get()), data, length);
  const std::string device = ToString(env, args[4]);
  TF_OperationDescription* op = TF_NewOperation(g->graph, "Const", g->NextName().c_str());
  if (!device.empty()) TF_SetDevice(op, device.c_str());
  Status status = NewStatus();
  TF_SetAttrType(op, "dtype", dtype);
  TF_SetAttrTensor(op, "value", tensor.get(), status.get());
  CheckTf(status, "Const");
  TF_Operation* done = TF_FinishOperation(op, status.get());
  CheckTf(status, "Const");
  return Describe(env, g, {done, 0});
}

// graphOperation(graph, type, attributes, inputs: (id | id[])[], device: string, keep: boolean, after: id[])
//   -> {id, dtype, shape}[]
// A nested array of ids is one list argument of the operation. An empty device leaves the placement to TensorFlow. `keep`
// has the operation run for its side effect, after those that were kept before it. It waits for the tensors of `after`.
napi_value GraphOperation(napi_env env, const std::vector<napi_value>& args) {
  Graph* g = ToGraph(env, args[0]);
  const std::string type = ToString(env, args[1]);
  TF_OperationDescription* op = TF_NewOperation(g->graph, type.c_str(), g->NextName().c_str());
  // From here on the description must reach TF_FinishOperation, which frees it: a failure is kept until then.
  std::string failure;
  bool keep = false;
  try {
    keep = ToBool(env, args[5]);
    if (keep && !g->kept.empty()) TF_AddControlInput(op, g->kept.back());
    for (int64_t id : ToVector(env, args[6], ToInt)) TF_AddControlInput(op, g->At(id).oper);
    const std::string device = ToString(env, args[4]);
    if (!device.empty()) TF_SetDevice(op, device.c_str());
    uint32_t inputs = 0;
    Check(napi_get_array_length(env, args[3], &inputs), "an array of inputs");
    for (uint32_t i = 0; i < inputs; i++) {
      napi_value input;
      napi_get_element(env, args[3], i, &input);
      if (IsNumber(env, input)) {
        TF_AddInput(op, g->At(ToInt(env, input)));
      } else {
        std::vector<TF_Output> list;
        for (int64_t id : ToVector(env, input, ToInt)) list.push_back(g->At(id));
        TF_AddInputList(op, list.data(), static_cast<int>(list.size()));
      }
    }
    uint32_t attributes = 0;
    Check(napi_get_array_length(env, args[2], &attributes), "an array of attributes");
    for (uint32_t i = 0; i < attributes; i++) {
      napi_value attribute;
      napi_get_element(env, args[2], i, &attribute);
      SetAttribute(env, op, attribute);
    }
  } catch (const Failure& f) {
    failure = f.message;
  }
  Status status = NewStatus();
  TF_Operation* done = TF_FinishOperation(op, status.get());
  if (!failure.empty()) Fail(type + ": " + failure);
  CheckTf(status, type);
  if (keep) g->kept.push_back(done);
  const int outputs = TF_OperationNumOutputs(done);
  napi_value out;
  napi_create_array_with_length(env, outputs, &out);
  for (int i = 0; i < outputs; i++) napi_set_element(env, out, i, Describe(env, g, {done, i}));
  return out;
}

// graphOpDef(graph, type) -> Uint8Array, the serialised tensorflow.OpDef
napi_value GraphOpDef(napi_env env, const std::vector<napi_value>& args) {
  Graph* g = ToGraph(env, args[0]);
  const std::string type = ToString(env, args[1]);
  std::unique_ptr<TF_Buffer, decltype(&TF_DeleteBuffer)> buffer(TF_NewBuffer(), TF_DeleteBuffer);
  Status status = NewStatus();
  TF_GraphGetOpDef(g->graph, type.c_str(), buffer.get(), status.get());
  CheckTf(status, type);
  void* data = nullptr;
  napi_value memory, out;
  Check(napi_create_arraybuffer(env, buffer->length, &data, &memory), "memory");
  std::memcpy(data, buffer->data, buffer->length);
  Check(napi_create_typedarray(env, napi_uint8_array, buffer->length, memory, 0, &out), "memory");
  return out;
}

// graphFinish(graph, name, inputs: id[], outputs: id[]): the graph becomes the function `name` of the context.
napi_value GraphFinish(napi_env env, const std::vector<napi_value>& args) {
  Graph* g = ToGraph(env, args[0]);
  const std::string name = ToString(env, args[1]);
  std::vector<TF_Output> inputs, outputs;
  for (int64_t id : ToVector(env, args[2], ToInt)) inputs.push_back(g->At(id));
  for (int64_t id : ToVector(env, args[3], ToInt)) outputs.push_back(g->At(id));
  const std::vector<const TF_Operation*> kept(g->kept.begin(), g->kept.end());
  Status status = NewStatus();
  std::unique_ptr<TF_Function, decltype(&TF_DeleteFunction)> function(
      TF_GraphToFunctionWithControlOutputs(g->graph, name.c_str(), 0, -1, nullptr, static_cast<int>(inputs.size()),
                                           inputs.data(), static_cast<int>(outputs.size()), outputs.data(), nullptr,
                                           static_cast<int>(kept.size()), kept.data(), nullptr, nullptr, nullptr,
                                           status.get()),
      TF_DeleteFunction);
  CheckTf(status, name);
  TFE_ContextAddFunction(Context(), function.get(), status.get());
  CheckTf(status, name);
  return Undefined(env);
}

// graphFree(graph): frees TensorFlow's memory now, as V8 sees a few bytes and would let many graphs gather before it collects
// them. The function that graphFinish made of it stays.
napi_value GraphFree(napi_env env, const std::vector<napi_value>& args) {
  ToGraph(env, args[0])->Free();
  return Undefined(env);
}

}  // namespace

std::vector<napi_property_descriptor> GraphMethods() {
  return {
      Method<GraphNew, 0>("graphNew"),
      Method<GraphPlaceholder, 3>("graphPlaceholder"),
      Method<GraphConst, 5>("graphConst"),
      Method<GraphOperation, 7>("graphOperation"),
      Method<GraphOpDef, 2>("graphOpDef"),
      Method<GraphFinish, 4>("graphFinish"),
      Method<GraphFree, 1>("graphFree"),
  };
}

}  // namespace distmis
