/* Sources/SessionStore/Scripts/commit_step.lua */

/* What a step ends with. */
#define SAYS_NOTHING 1      /* it failed, or was cancelled before it said anything */
#define SAYS_TEXT 2
#define SAYS_CALLS 3

inline commit_step(with_token, step_number, ending) {
  say("commit_step, token %d, step %d, ending %d", with_token, step_number, ending)
  if
  :: (FENCE_INSTEAD_OF_TOKEN -> s.status != RUNNING || s.fence != step_number : s.token != with_token) && !COMMIT_IGNORES_TOKEN ->
    if
    :: has(s.committed, with_token) -> answer = ALREADY
    :: else ->
      require(answer_is_true, !has(s.wrote, with_token));
      answer = LOST
    fi
  :: else ->
    require(I3_one_writer, s.opened == with_token && (!s.intent || s.text == (ending == SAYS_TEXT)));
    s.done = s.done | bit_of(step_number);
    if
    :: ending == SAYS_TEXT -> push_assistant(0)
    :: ending == SAYS_CALLS ->
      push_assistant(bit_of(CALLS) - 1);
      s.pending = bit_of(CALLS) - 1;
      s.call[0] = PENDING;
      s.call[1] = (CALLS > 1 -> PENDING : UNKNOWN);
      s.call_step = step_number
    :: else
    fi;
    if
    :: !COMMIT_FORGETS_TOKEN -> s.committed = s.committed | bit_of(with_token)
    :: else
    fi;
    s.status = (ending == SAYS_CALLS -> WAITING : IDLE);
    s.token = NONE;
    s.lease = NO_LEASE;
    s.intent = false;
    s.stored = s.stored | bit_of(step_number);
    s.wrote = s.wrote | bit_of(with_token);
    s.text = false;
    answer = COMMITTED
  fi;
  say(": %e\n", answer)
}
