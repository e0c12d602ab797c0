/*
 * What verify.sh --trail prints. Searches print nothing. (The macro has its own semicolon, so that it leaves nothing
 * behind in a search.)
 */
#if TRAIL
#define say(...) printf(__VA_ARGS__);
#else
#define say(...)
#endif
