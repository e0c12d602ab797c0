/* What verify.sh --trail prints. Searches do without. */
#if TRAIL
#define say(...) printf(__VA_ARGS__);
#else
#define say(...)
#endif
