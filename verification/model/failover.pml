/*
 * Redis fails over, once, to a copy that lacks the latest writes: from some moment on nothing is copied, and at a
 * later moment all replicas find the state of the first. Calls in flight to the old Redis end with it. A fact that
 * a replica relies on across two calls (a hint that it wrote, a state that it read) holds only on the connection
 * that it came over.
 */
Session copy_of_s;
byte copy_of_hint;

inline copy_session(from, to) {
  to.status = from.status; to.fence = from.fence; to.token = from.token; to.lease = from.lease;
  to.attempt = from.attempt; to.lost = from.lost; to.intent = from.intent; to.pending = from.pending;
  to.committed = from.committed; to.call[0] = from.call[0]; to.call[1] = from.call[1]; to.call_step = from.call_step;
  to.last = from.last; to.open = from.open; to.messages = from.messages; to.first = from.first;
  to.opened = from.opened; to.sequence = from.sequence; to.text = from.text; to.done = from.done; to.replacing = from.replacing;
  to.stored = from.stored; to.wrote = from.wrote; to.origin = from.origin; to.runs = from.runs;
  to.released = from.released; to.counts = from.counts; to.preempted = from.preempted;
  index = 0;
  do
  :: index < TOKENS -> to.begun[index] = from.begun[index]; index++
  :: else -> break
  od;
  index = 0;
  do
  :: index < REQUESTS -> to.key[index] = from.key[index]; index++
  :: else -> break
  od;
  index = 0
}

proctype Failover() {
  byte index;
  d_step {
    copy_session(s, copy_of_s);
    copy_of_hint = hint;
    is_copied = false;
    hint_has_moved = false;
    say("Redis is no longer copied\n")
  };
  d_step {
    copy_session(copy_of_s, s);
    hint = copy_of_hint;
    unmoved = unmoved && SWEEPER_TRUSTS_OLD_LOOK && !hint_has_moved;
    promised = 0;
    is_copied = true;
    failed_over = 1;
    say("Redis fails over: step %d, status %d\n", s.fence, s.status)
    check_orphan()
  }
}
