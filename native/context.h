// The eager context of this process.
#pragma once

#include <string>

#include "tensorflow/c/eager/c_api.h"

namespace distmis {

// Null before the binding has made it.
TFE_Context* Context();

// What TensorFlow said when the last context could not join its cluster; empty where it did.
const std::string& JoinFailure();

}  // namespace distmis
