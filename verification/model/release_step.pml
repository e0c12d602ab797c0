/*
 * Sources/SessionStore/Scripts/release_step.lua. (The script also recognizes its repetition; no
 * decision depends on that reply.)
 */
inline release_step(with_token) {
  say("release_step, token %d", with_token)
  if
  :: s.token != with_token && !RELEASE_IGNORES_TOKEN ->
    answer = LOST
  :: else ->
    require(I3_one_writer, s.opened == with_token);
    if
    :: s.lease != NO_LEASE || RELEASE_COUNTS_TWICE ->
      s.lease = NO_LEASE;
      s.attempt = (RELEASE_KEEPS_ATTEMPT -> s.attempt : s.attempt - 1);
      s.token = (RELEASE_KEEPS_TOKEN -> s.token : NONE);
      s.released = s.released + s.counts;
      s.counts = false
    :: else
    fi;
    answer = RELEASED
  fi;
  say(": %e, attempt %d\n", answer, s.attempt)
}
