/*
 * Protocols that are wrong in one place. Each name stands where its mistake is made; ../mutations.txt says which property must
 * fail. All are off unless the command line defines them as 1.
 */

/* Scripts that check or remember less. */
#ifndef APPEND_IGNORES_TOKEN
#define APPEND_IGNORES_TOKEN 0
#endif
#ifndef COMMIT_IGNORES_TOKEN
#define COMMIT_IGNORES_TOKEN 0
#endif
#ifndef FENCE_INSTEAD_OF_TOKEN
#define FENCE_INSTEAD_OF_TOKEN 0
#endif
#ifndef COMMIT_FORGETS_TOKEN
#define COMMIT_FORGETS_TOKEN 0
#endif
#ifndef BEGIN_IGNORES_TOKENS_SEEN
#define BEGIN_IGNORES_TOKENS_SEEN 0
#endif
#ifndef BEGIN_IGNORES_KEYS
#define BEGIN_IGNORES_KEYS 0
#endif
#ifndef BEGIN_IGNORES_ANSWERED_CALLS
#define BEGIN_IGNORES_ANSWERED_CALLS 0
#endif
#ifndef BEGIN_IGNORES_CLOSED_CALLS
#define BEGIN_IGNORES_CLOSED_CALLS 0
#endif
#ifndef BEGIN_LEAVES_CALLS_OPEN
#define BEGIN_LEAVES_CALLS_OPEN 0
#endif
#ifndef BEGIN_IGNORES_RUNNING_STEP
#define BEGIN_IGNORES_RUNNING_STEP 0
#endif
#ifndef BEGIN_IGNORES_HINT
#define BEGIN_IGNORES_HINT 0
#endif
#ifndef RETRY_IGNORES_ANSWER
#define RETRY_IGNORES_ANSWER 0
#endif
#ifndef TAKE_OVER_IGNORES_FENCE
#define TAKE_OVER_IGNORES_FENCE 0
#endif
#ifndef TAKE_OVER_FORGETS_INTENT
#define TAKE_OVER_FORGETS_INTENT 0
#endif
#ifndef TAKE_OVER_IGNORES_ATTEMPTS
#define TAKE_OVER_IGNORES_ATTEMPTS 0
#endif
#ifndef REWIND_IGNORES_RUNNING_STEP
#define REWIND_IGNORES_RUNNING_STEP 0
#endif
#ifndef REWIND_LEAVES_CALLS_OPEN
#define REWIND_LEAVES_CALLS_OPEN 0
#endif
#ifndef RELEASE_IGNORES_TOKEN
#define RELEASE_IGNORES_TOKEN 0
#endif
#ifndef RELEASE_COUNTS_TWICE
#define RELEASE_COUNTS_TWICE 0
#endif
#ifndef RELEASE_KEEPS_TOKEN
#define RELEASE_KEEPS_TOKEN 0
#endif
#ifndef RELEASE_KEEPS_ATTEMPT
#define RELEASE_KEEPS_ATTEMPT 0
#endif

/* Replicas that do less, or in another order. */
#ifndef NO_SWEEPER
#define NO_SWEEPER 0
#endif
#ifndef SWEEPER_ONLY_LOOKS
#define SWEEPER_ONLY_LOOKS 0
#endif
#ifndef NO_HINT_BEFORE_BEGIN
#define NO_HINT_BEFORE_BEGIN 0
#endif
#ifndef OWNER_REMOVES_HINT
#define OWNER_REMOVES_HINT 0
#endif
#ifndef SWEEPER_REMOVES_MOVED_HINT
#define SWEEPER_REMOVES_MOVED_HINT 0
#endif
#ifndef SWEEPER_TRUSTS_OLD_LOOK
#define SWEEPER_TRUSTS_OLD_LOOK 0
#endif
#ifndef DONE_TOLD_BEFORE_COMMIT
#define DONE_TOLD_BEFORE_COMMIT 0
#endif
#ifndef DONE_LOGGED_BEFORE_COMMIT
#define DONE_LOGGED_BEFORE_COMMIT 0
#endif
#ifndef WAITING_TOLD_BEFORE_COPY
#define WAITING_TOLD_BEFORE_COPY 0
#endif
#ifndef REFUSAL_BELIEVED_AFTER_LOSS
#define REFUSAL_BELIEVED_AFTER_LOSS 0
#endif
