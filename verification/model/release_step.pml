/*
 * Sources/SessionStore/Scripts/release_step.lua. (The script also knows its own repetition; that answer decides nothing.)
 */
inline release_step(with_token) {
  say("release_step, token %d", with_token)
  if
  :: s.token != with_token && !RELEASE_IGNORES_TOKEN ->
    answer = LOST
  :: else ->
    require(I3_one_writer, s.opened == with_token);
    if
    :: s.lease != GIVEN_BACK || RELEASE_COUNTS_TWICE ->
      s.lease = GIVEN_BACK;
      s.attempt = (RELEASE_KEEPS_ATTEMPT -> s.attempt : s.attempt - 1);
      s.token = (RELEASE_KEEPS_TOKEN -> s.token : NONE);
      s.given_back = s.given_back + s.counts;
      s.counts = false
    :: else
    fi;
    answer = RELEASED
  fi;
  say(": %e, attempt %d\n", answer, s.attempt)
}
