/*
 * Sources/SessionStore/Scripts/begin_step.lua, with its checks in the same order: seen before, contradictions, a
 * partial result, a new step. (Within a d_step SPIN takes the first guard that holds.) Reads only its arguments;
 * sets `answer` and, if the script's reply has a step, `at`.
 */
inline begin_step(with_token, request) {
  say("begin_step, token %d, request %d", with_token, request)
  if
  :: s.token == with_token ->
    s.lease = IN_TIME;
    answer = STARTED; at = s.fence
  :: s.begun[with_token] && !BEGIN_IGNORES_TOKENS_SEEN ->
    answer = REPLAY; at = s.begun[with_token]
  :: has_key(request) && s.key[request] && !BEGIN_IGNORES_KEYS ->
    answer = REPLAY; at = s.key[request]
  :: is_result(request) && s.call[call_of(request)] == UNKNOWN ->
    answer = UNKNOWN_CALL
  :: is_result(request) && s.call[call_of(request)] == ANSWERED && !BEGIN_IGNORES_ANSWERED_CALLS ->
    if
    :: s.status == WAITING && s.fence == s.call_step || s.call[0] == CANCELLED || s.call[1] == CANCELLED ->
      answer = STORED; at = s.call_step
    :: else -> answer = REPLAY; at = s.call_step + 1
    fi
  :: is_result(request) && !has(s.pending, call_of(request)) && !BEGIN_IGNORES_CLOSED_CALLS ->
    require(answer_is_true, !has(s.messages, request));
    /* A refusal does not hide a step that has lost its replica. */
    at = (s.status == RUNNING && s.lease != IN_TIME -> s.fence : 0);
    answer = CALL_CLOSED
  :: s.status == RUNNING && !BEGIN_IGNORES_RUNNING_STEP ->
    if
    :: s.lease == IN_TIME -> answer = BUSY
    :: else -> answer = ORPHANED
    fi;
    at = s.fence
  :: request == RETRY && (s.pending || s.last == NOTHING || s.last == ASSISTANT && !RETRY_IGNORES_ANSWER) ->
    answer = REFUSED
  :: !has(promised, with_token) && !BEGIN_IGNORES_HINT ->
    answer = LATE
  :: is_result(request) && (s.pending & ~bit_of(call_of(request))) ->
    require(answer_is_true, !has(denied, with_token));
    accept_result(request);
    answer = STORED; at = s.call_step
  :: else ->
    require(answer_is_true, !has(denied, with_token));
    require(I5_no_silence, s.fence == 0 || has(s.done, s.fence));
    open_step(with_token);
    s.begun[with_token] = s.fence;
    if
    :: is_result(request) -> accept_result(request)
    :: else ->
      close_call(0);
      close_call(1);
      if
      :: has_key(request) -> s.key[request] = s.fence
      :: else
      fi;
      if
      :: request != RETRY -> push_user(); push_from(request)
      :: else
      fi
    fi;
    s.status = RUNNING;
    s.token = with_token;
    s.lease = IN_TIME;
    s.attempt = 1;
    s.lost = 0;
    s.intent = false;
    s.text = false;
    s.origin = s.fence;
    s.runs = 1;
    s.released = 0;
    s.counts = true;
    answer = STARTED; at = s.fence
  fi;
  say(": %e, step %d\n", answer, at)
}

inline accept_result(request) {
  push_tool(call_of(request));
  push_from(request);
  s.call[call_of(request)] = ANSWERED;
  s.pending = s.pending & ~bit_of(call_of(request))
}

/* The user's message closes a call before its result has come. */
inline close_call(id) {
  if
  :: has(s.pending, id) && !BEGIN_LEAVES_CALLS_OPEN ->
    push_tool(id);
    s.call[id] = CANCELLED;
    s.pending = s.pending & ~bit_of(id)
  :: else
  fi
}
