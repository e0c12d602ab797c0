/* How much happens in one search. Each check of ../checks.txt sets what it needs; by default nothing happens. */

/*
 * What clients may send, and how often each request is sent in all: by its client, by a proxy, by a reloaded tab.
 */
#ifndef MESSAGE_SENDS       /* a user message with an Idempotency-Key */
#define MESSAGE_SENDS 0
#endif
#ifndef OTHER_SENDS         /* another user message with another key */
#define OTHER_SENDS 0
#endif
#ifndef PLAIN_SENDS         /* a user message without a key; sent again it would be another message */
#define PLAIN_SENDS 0
#endif
#ifndef RETRY_SENDS         /* {"type":"retry"}, with a key */
#define RETRY_SENDS 0
#endif
#ifndef RESULT_SENDS        /* the result of each tool call */
#define RESULT_SENDS 0
#endif
#ifndef CANCELS             /* 0, or 1: a client sees a step running, and cancels just this step */
#define CANCELS 0
#endif
#ifndef REWINDS             /* 0, or 1: a client cuts the history */
#define REWINDS 0
#endif
#ifndef INTERRUPTS          /* whether the other message has on_conflict: interrupt */
#define INTERRUPTS 0
#endif
#ifndef CALLS               /* tool calls of the model's first completion: 0, 1 or 2, in parallel */
#define CALLS 0
#endif

/* What may go wrong. */
#ifndef CRASHES             /* replicas that die, each between any two of its effects */
#define CRASHES 0
#endif
#ifndef LOSSES              /* calls to Redis without a reply: applied at once, later, or never */
#define LOSSES 0
#endif
#ifndef STALLS              /* living owners whose lease runs out */
#define STALLS 0
#endif
#ifndef POSTPONES           /* how often a step that two owners were lost with is postponed */
#define POSTPONES 0
#endif
#ifndef DRAINS              /* replicas that must stop while they run a step */
#define DRAINS 0
#endif
#ifndef FAILOVERS           /* 0, or 1: Redis fails over to a copy that lacks the latest writes */
#define FAILOVERS 0
#endif
#ifndef WAITS_FOR_COPY      /* ACK_REPLICAS: whether clients hear of a commit only once a copy has it */
#define WAITS_FOR_COPY 0
#endif

/* How large a step is. */
#ifndef APPENDS             /* batches of tokens that an owner logs before its commit */
#define APPENDS 1
#endif
#ifndef ATTEMPTS            /* how often a step may be run; the server's setting is 3 */
#define ATTEMPTS 3
#endif

/* Room for tokens and fences. A search that needs more fails: nothing is cut off silently. */
#ifndef TOKENS
#define TOKENS 12
#endif
#ifndef FENCES
#define FENCES 12
#endif
