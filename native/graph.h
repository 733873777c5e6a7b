// A graph under construction: operations are added one by one and TensorFlow infers their shapes; nothing runs.
// graphFinish makes a function of it that the context executes as one operation, through Grappler.
#pragma once

#include <node_api.h>

#include <vector>

namespace distmis {

// What JavaScript gets of it; each is described in graph.cc.
std::vector<napi_property_descriptor> GraphMethods();

}  // namespace distmis
