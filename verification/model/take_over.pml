/*
 * Sources/SessionStore/Scripts/take_over.lua. `force` seizes a living step, with the intent to cancel it: the protocol knows no
 * other use. Sets `answer` and, if that is TAKEN, `at` (the new step) and `purpose`.
 */
inline take_over(with_token, step_number, force) {
  say("take_over, token %d, step %d, force %d", with_token, step_number, force)
  if
  :: s.token == with_token ->
    s.lease = IN_TIME;
    taken_for()
  :: s.status != RUNNING || s.fence != step_number && !TAKE_OVER_IGNORES_FENCE ->
    answer = GONE
  :: s.lease == IN_TIME && !force ->
    answer = ALIVE
  :: else ->
    if
    :: force ->
      require(cancel_hits_its_step, has(asked, s.origin));
      s.intent = true;
      s.seized = s.seized | bit_of(s.origin)
    :: else ->
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
      require(I6_attempts_bounded, s.runs - s.given_back <= ATTEMPTS);
      require(cancel_hits_its_step, !has(s.seized, s.origin))
    :: purpose == FAIL ->
      require(I6_attempts_bounded, s.runs - s.given_back >= ATTEMPTS)
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
