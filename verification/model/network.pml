/*
 * A call to Redis whose reply is lost. Its caller cannot know whether Redis received it: Redis applies it at any
 * later time, even after its repetition, or never. (The caller closes the connection, but the call may still be
 * in flight.)
 */
chan wire = [0] of { mtype, byte, byte, byte };

proctype LostCall() {
  mtype script, answer, purpose;
  byte token, step, argument, at, era, index;
end:
  atomic {
    wire ? script, token, step, argument ->
    say("no reply to %e, token %d\n", script, token)
    era = failed_over;
    astray[token]++
  };
  atomic {
    if
    :: d_step {
        say("late: ")
        if
        :: era != failed_over                   /* it went to a Redis that is gone */
        :: script == BEGIN_STEP -> begin_step(token, argument)
        :: script == APPEND_EVENTS -> append_events(token, step, argument, true)
        :: script == LOG_EVENTS -> append_events(token, step, argument, false)
        :: script == COMMIT_STEP -> commit_step(token, step, argument)
        :: script == TAKE_OVER -> take_over(token, step, (argument & 1), (argument >> 1))
        :: script == RELEASE_STEP -> release_step(token)
        :: script == REWIND -> rewind(token, step, argument)
        fi;
        check_orphan()
      }
    :: true
    fi;
    astray[token]--;
    forget(token);
    script = 0; token = 0; step = 0; argument = 0; answer = 0; at = 0; purpose = 0; era = 0
  }
}
