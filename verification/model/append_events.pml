/*
 * Sources/SessionStore/Scripts/append_events.lua: batch `number` of a step, which also extends the lease; and
 * log_events.lua, which does not. XADD refuses an id that is not above the last one; the scripts conclude that the
 * batch was written before.
 */
inline append_events(with_token, step_number, number, extends) {
  say("append_events, token %d, step %d, batch %d, extends %d", with_token, step_number, number, extends)
  if
  :: (FENCE_INSTEAD_OF_TOKEN -> s.status != RUNNING || s.fence != step_number : s.token != with_token) && !APPEND_IGNORES_TOKEN ->
    answer = LOST
  :: else ->
    if
    :: s.fence == step_number && s.sequence < number ->
      require(I3_one_writer, s.opened == with_token);
      s.sequence = number;
      s.text = true;
      if
      :: DONE_LOGGED_BEFORE_COMMIT -> s.done = s.done | bit_of(step_number)
      :: else
      fi
    :: else
    fi;
    require(answer_is_true, s.opened == with_token && s.sequence >= number);
    if
    :: extends -> s.lease = IN_TIME
    :: else
    fi;
    answer = WRITTEN
  fi;
  say(": %e\n", answer)
}
