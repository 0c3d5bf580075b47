#define CHAINRULE_LEVEL x86_64_v2
#define CHAINRULE_NAME "x86-64-v2"
#define CHAINRULE_BYTES 16
#include "level.inl"
