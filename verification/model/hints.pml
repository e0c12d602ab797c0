/*
 * Hints: when the sweeper reads the session. Times are only compared, so the model keeps no clock: a hint is
 * ahead or due, and the time that a begin_step carries is ahead (promised) or has passed. ZADD GT never moves a
 * hint back, so a promised time is never later than the hint: once the hint is due, all of them have passed.
 */
#define ABSENT 0
#define AHEAD 1
#define DUE 2

byte hint;                  /* agent:running of this session; it may live on another server, so no script touches it */
short promised;             /* tokens whose begin_step carries a time that has not passed yet */
bool unmoved;               /* the hint is the one that the sweeper has read */
bool hint_has_moved;        /* since Redis's copy stands still */

/* Checks that a crash at this moment would be noticed; called wherever that can become false. */
inline check_orphan() {
  require(I6_no_orphan, s.status != RUNNING || has(living, s.token) || hint != ABSENT)
}

inline move_hint() {
  hint = AHEAD;
  unmoved = false;
  hint_has_moved = FAILOVERS
}

inline promise_hint(with_token) {
  if
  :: !NO_HINT_BEFORE_BEGIN -> move_hint()
  :: else
  fi;
  promised = promised | bit_of(with_token)
}

/* ZREM, if the hint is still the one that was read. */
inline remove_hint() {
  if
  :: hint == DUE && (unmoved || SWEEPER_REMOVES_MOVED_HINT) -> hint = ABSENT; hint_has_moved = FAILOVERS
  :: else
  fi;
  unmoved = false;
  say("the sweeper is done: hint %d\n", hint)
  check_orphan()
}
