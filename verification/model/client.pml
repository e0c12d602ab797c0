/*
 * Clients. They send each request as often as they may, to any replica, whether or not they have a response.
 */
/* A request, or CANCEL_STEP and its step; one per replica, the last is the sweeper's. */
chan inbox[3] = [0] of { byte, byte };
#define CANCEL_STEP REQUESTS
#define REWIND_HISTORY (REQUESTS + 1)

/*
 * Idle replicas are alike, so a client asks the second one only while the first is busy: the other cases
 * are the same with the names changed.
 */
bool is_busy;

proctype Client(byte request; byte sends) {
end:
  (!is_result(request) || told_calls);
end_sending:
  do
  :: sends > 0 -> inbox[is_busy] ! request, 0; sends--
  :: break
  od
}

/* Sees a step running, and asks to cancel just this step. */
proctype Canceller() {
  byte step;
end:
  d_step { s.status == RUNNING -> step = s.fence; asked = asked | bit_of(s.origin) };
end_sending:
  inbox[is_busy] ! CANCEL_STEP, step
}

/* Asks to cut the history, at any time. */
proctype Rewinder() {
end_sending:
  inbox[is_busy] ! REWIND_HISTORY, 0
}

/* The responses, of a replica whose variables these are. */

/*
 * 409: nothing was written. Only a call that was not repeated proves that: an earlier copy of a repeated call
 * may still be applied.
 */
inline refuse() {
  say("a client is refused\n")
  if
  :: !repeated || REFUSAL_BELIEVED_AFTER_LOSS -> denied = denied | bit_of(me)
  :: else
  fi
}

/* 200: the message is in the history. */
inline accept() {
  accepted = accepted | bit_of(request);
  step = at;
  repeated = false; was_late = false; answer = NONE; at = 0
}

/* The end of a step, whatever it was, reaches a client. */
inline tell(step_told) {
  require(I4_stored_before_told, has(s.stored, step_told));
  say("a client hears the end of step %d\n", step_told)
  told_calls = told_calls || s.call_step == step_told
}

/* ACK_REPLICAS: the write that the response rests on went over the connection of the WAIT that succeeded. */
#define is_safe_to_tell (!WAITS_FOR_COPY || is_copied && era == failed_over)
