/*
 * The protocol of docs/redis-protocol.md between replicas that share nothing but Redis, for SPIN: one file per
 * script, one per actor. ../README.md says what the model leaves out; ../verify.sh runs it.
 */
#include "bounds.pml"
#include "mutations.pml"
#include "properties.pml"
#include "trail.pml"
#include "session.pml"
#include "world.pml"
#include "tokens.pml"
#include "hints.pml"
#include "begin_step.pml"
#include "append_events.pml"
#include "commit_step.pml"
#include "take_over.pml"
#include "release_step.pml"
#include "rewind.pml"
#include "network.pml"
#include "client.pml"
#include "replica.pml"
#include "time.pml"
#if FAILOVERS
#include "failover.pml"
#endif

#if LIVENESS
/* I6, in time: whatever happened before, sooner or later no step runs. Under weak fairness. */
ltl eventually_idle { <> [] (s.status != RUNNING) }
#endif

init {
  byte count;
  atomic {
    run Leases();
    run Hints();
    run Replica(0);
    run Replica(1);
    run Replica(SWEEPER);
    do
    :: count < LOSSES -> run LostCall(); count++
    :: else -> count = 0; break
    od;
#if FAILOVERS
    run Failover();
#endif
#if CANCELS
    run Canceller();
#endif
#if REWINDS
    run Rewinder();
#endif
#if MESSAGE_SENDS
    run Client(MESSAGE, MESSAGE_SENDS);
#endif
#if OTHER_SENDS
    run Client(OTHER, OTHER_SENDS);
#endif
#if PLAIN_SENDS
    run Client(PLAIN, PLAIN_SENDS);
#endif
#if RETRY_SENDS
    run Client(RETRY, RETRY_SENDS);
#endif
#if RESULT_SENDS
    run Client(RESULT_A, RESULT_SENDS);
#if CALLS > 1
    run Client(RESULT_B, RESULT_SENDS);
#endif
#endif
  };
  /* Nothing more can happen. (A replica that waits for what never comes is an invalid end state of SPIN's own.) */
  timeout ->
    require(I6_no_orphan, s.status != RUNNING);
    require(I2_message_once, FAILOVERS || (accepted & ~bit_of(RETRY) & ~s.messages & ~cut) == 0)
}
