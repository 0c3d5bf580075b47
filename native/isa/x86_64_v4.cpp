#define CHAINRULE_LEVEL x86_64_v4
#define CHAINRULE_NAME "x86-64-v4"
#define CHAINRULE_BYTES 64
#include "level.inl"
