/*
 * Sources/SessionStore/Scripts/take_over.lua. `force` preempts a living step, with the intent to cancel it: the
 * protocol has no other use for it. A step that two owners were lost with is taken only with a verdict. Sets
 * `answer` and, if that is TAKEN, `at` (the new step) and `purpose`.
 */
#define MAY_RUN 1
#define MUST_FAIL 2

inline take_over(with_token, step_number, force, verdict) {
  say("take_over, token %d, step %d, force %d, verdict %d", with_token, step_number, force, verdict)
  if
  :: s.token == with_token ->
    s.lease = IN_TIME;
    taken_for()
  :: s.status != RUNNING || s.fence != step_number && !TAKE_OVER_IGNORES_FENCE ->
    answer = GONE
  :: s.lease == IN_TIME && !force ->
    answer = ALIVE
  :: !force && !verdict && !s.intent && s.attempt == 2 && s.lost && s.token != NONE && ATTEMPTS > 2 ->
    answer = SUSPECT
  :: else ->
    if
    :: force ->
      require(cancel_hits_its_step, has(asked, s.origin));
      s.intent = true;
      s.preempted = s.preempted | bit_of(s.origin)
    :: else ->
      s.lost = (s.token != NONE && s.lost < 2 -> s.lost + 1 : s.lost);
      s.attempt = (verdict == MUST_FAIL && s.attempt == 2 && s.lost == 2 && !s.intent -> ATTEMPTS : s.attempt);
      s.attempt++;
      s.intent = s.intent && !TAKE_OVER_FORGETS_INTENT
    fi;
    open_step(with_token);
    s.replacing = s.replacing | bit_of(s.fence);
    s.token = with_token;
    s.lease = IN_TIME;
    s.begun[with_token] = s.fence;
    taken_for();
    s.counts = (purpose == RUN);
    if
    :: purpose == RUN ->
      s.text = false;
      s.runs++;
      require(I6_attempts_bounded, s.runs - s.released <= ATTEMPTS);
      require(cancel_hits_its_step, !has(s.preempted, s.origin))
    :: purpose == FAIL ->
      require(I6_attempts_bounded, s.runs - s.released >= ATTEMPTS || s.lost == 2)
    :: else
    fi
  fi;
  say(": %e, step %d, attempt %d, %e\n", answer, s.fence, s.attempt, purpose)
}

inline taken_for() {
  answer = TAKEN; at = s.fence;
  if
  :: s.intent -> purpose = CANCEL
  :: s.attempt > ATTEMPTS && !TAKE_OVER_IGNORES_ATTEMPTS -> purpose = FAIL
  :: else -> purpose = RUN
  fi
}
