/* What verify.sh --trail prints. Searches do without. (It brings its own semicolon, so that nothing is left of it there.) */
#if TRAIL
#define say(...) printf(__VA_ARGS__);
#else
#define say(...)
#endif
