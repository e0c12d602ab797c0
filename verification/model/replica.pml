/*
 * A replica at work on one job: a client's request, a cancel, or the sweeper's read of a session. It keeps nothing
 * between jobs, so a replica that died and restarted is one that begins its next job; one that stays dead is one
 * that gets none.
 *
 * A death is modelled while the replica holds a lease. At another time it leaves the same state as a replica that
 * gives up, or that never gets a reply; both of these are modelled.
 */

/* The replica owns the step. */
inline hold() {
  step = at; number = 0;
  repeated = false; answer = NONE; at = 0
}

/* The replica needs another lease. */
inline ask_for(which) {
  mint();
  step = which;
  repeated = false; was_late = false; answer = NONE; at = 0; verdict = 0
}

/* How a step ends: as the model decides. A repeated call ends it in the same way. */
inline decide() {
  if
  :: ending
  :: !ending -> ending = SAYS_NOTHING                                     /* the model, or the last attempt, failed */
  :: !ending && purpose == RUN -> ending = SAYS_TEXT
  :: !ending && purpose == RUN && CALLS && s.call_step == 0 -> ending = SAYS_CALLS
  fi
}

/* The replica that serves no requests. */
#define SWEEPER 2

#define loses losses < LOSSES -> losses++

proctype Replica(byte self) {
  byte request, me, step, at, number, ending, era, verdict, index;
  bool force, repeated, was_late;
  mtype answer, purpose;

end_idle:
  atomic {
    if
    :: inbox[self] ? request, step ->
      is_busy = is_busy || self == 0;
      mint();
      if
      :: request == CANCEL_STEP -> request = NONE; force = true; goto take
      :: request == REWIND_HISTORY -> request = NONE; step = s.fence; force = false; goto cutting
      :: request == REWIND_HISTORY -> request = NONE; step = s.fence; force = true; goto cutting
      :: else -> goto promise
      fi
    :: self == SWEEPER && !NO_SWEEPER && hint == DUE ->
      unmoved = true;
      if
      :: s.status != RUNNING -> goto remove
      :: s.status == RUNNING && s.lease == IN_TIME -> move_hint(); goto finished
      :: s.status == RUNNING && s.lease != IN_TIME && SWEEPER_ONLY_LOOKS -> move_hint(); goto finished
      :: s.status == RUNNING && s.lease != IN_TIME && !SWEEPER_ONLY_LOOKS -> move_hint(); ask_for(s.fence); goto take
      fi
    fi
  };

remove:
  atomic { remove_hint(); goto finished };

promise:
  atomic { promise_hint(me) };

begin:
  if
  :: atomic {
      d_step { begin_step(me, request); era = failed_over };
      if
      :: answer == STARTED -> accept(); purpose = RUN; goto own
      :: answer == REPLAY -> accept(); drop(); goto follow
      :: answer == STORED -> accept(); goto stored
      :: answer == LATE && !was_late -> was_late = true; answer = NONE; goto promise
      :: answer == BUSY && INTERRUPTS && request == OTHER ->
        asked = asked | bit_of(s.origin); drop(); ask_for(at); force = true; goto take
      :: answer == ORPHANED -> refuse(); drop(); ask_for(at); request = NONE; goto take
      :: answer == UNKNOWN_CALL -> require(I4_stored_before_told, was_cut); goto finished
      :: answer == CALL_CLOSED && at -> refuse(); drop(); ask_for(at); request = NONE; goto take
      :: else -> refuse(); goto finished
      fi
    }
  :: atomic { loses; repeated = true; wire ! BEGIN_STEP, me, 0, request; goto begin }
  :: atomic { repeated -> goto finished }                                 /* 503 outcome_unknown */
  fi;

take:
  if
  :: atomic {
      d_step { take_over(me, step, force, verdict) };
      if
      :: answer == TAKEN -> hold(); goto own
      :: answer == SUSPECT -> answer = NONE; verdict = MAY_RUN; goto take
      :: answer == SUSPECT -> answer = NONE; verdict = MUST_FAIL; goto take
      :: answer == SUSPECT && postpones < POSTPONES -> postpones++; goto finished
      :: answer != TAKEN && answer != SUSPECT -> goto overtaken
      fi
    }
  :: atomic { loses; repeated = true; wire ! TAKE_OVER, me, step, force + 2 * verdict; goto take }
  :: atomic { repeated -> goto finished }
  fi;

own:
  if
  :: atomic { crashes < CRASHES -> crashes++; say("the holder of token %d dies\n", me) goto finished }
  :: atomic {
      purpose == RUN && !ending && number < APPENDS ->
      if
      :: d_step { append_events(me, step, number + 1, true) }
      :: d_step { s.lease != IN_TIME -> append_events(me, step, number + 1, false) }   /* else it is the same */
      fi;
      if
      :: answer == WRITTEN -> number++; answer = NONE; goto own
      :: answer == LOST -> goto overtaken
      fi
    }
    /* A batch that may be lost goes along with the next one, or with the commit. */
  :: atomic { purpose == RUN && !ending && number < APPENDS && loses; wire ! APPEND_EVENTS, me, step, number + 1; goto own }
  :: atomic { purpose == RUN && !ending && number < APPENDS && loses; wire ! LOG_EVENTS, me, step, number + 1; goto own }
  :: atomic { purpose == RUN && !ending && drains < DRAINS -> drains++; say("the holder of token %d must stop\n", me) goto release }
  :: d_step { purpose == CANCEL && !ending -> ending = (s.text -> SAYS_TEXT : SAYS_NOTHING) }; goto own
  :: atomic {
      purpose != CANCEL || ending ->
      decide();
      if
      :: DONE_TOLD_BEFORE_COMMIT -> tell(step)
      :: else
      fi;
      d_step { commit_step(me, step, ending); era = failed_over };
      if
      :: answer == LOST -> goto overtaken
      :: else -> ending = 0; number = 0; purpose = 0; repeated = false; answer = NONE; drop(); goto committed
      fi
    }
  :: atomic { (purpose != CANCEL || ending) && loses; repeated = true; decide(); wire ! COMMIT_STEP, me, step, ending; goto own }
  :: atomic { repeated -> goto finished }                                 /* error store_unavailable */
  fi;

committed:
  if
  :: atomic { OWNER_REMOVES_HINT -> hint = ABSENT; check_orphan() }
  :: else
  fi;

told:
  if
  :: atomic { request && !force && is_safe_to_tell -> tell(step); goto finished }
  :: atomic { request && !force && !is_safe_to_tell -> goto finished }    /* error store_unavailable */
  :: atomic { request && force -> goto again }                            /* the other step has ended */
  :: atomic { request == NONE -> goto finished }
  fi;

/* A result that leaves other calls open: `done` at once, with status waiting. */
stored:
  if
  :: atomic { is_safe_to_tell || WAITING_TOLD_BEFORE_COPY -> require(I4_stored_before_told, has(s.messages | cut, request)); goto finished }
  :: atomic { !is_safe_to_tell -> goto finished }                         /* error store_unavailable */
  fi;

again:
  atomic { ask_for(0); force = false; purpose = 0; number = 0; goto promise };

overtaken:
  atomic {
    drop();
    answer = NONE; repeated = false; ending = 0; number = 0; purpose = 0;
    if
    :: request && force -> goto again
    :: request && !force -> goto follow
    :: request == NONE -> goto finished
    fi
  };

follow:
  if
  :: atomic { has(s.done, step) -> era = failed_over; goto told }
  :: atomic { !has(s.done, step) && s.fence > step && has(s.replacing, step + 1) -> step++; goto follow }
  :: atomic {
      !has(s.done, step) &&
      (s.fence < step || s.fence > step && !has(s.replacing, step + 1) || s.fence == step && s.status != RUNNING) ->
      goto finished                                                       /* error events_gone */
    }
  :: atomic {
      !has(s.done, step) && s.fence == step && s.status == RUNNING && s.lease != IN_TIME ->
      ask_for(step); goto take
    }
  fi;

release:
  if
  :: atomic { d_step { release_step(me) }; goto finished }                /* no `done`: the client goes on elsewhere */
  :: atomic { loses; repeated = true; wire ! RELEASE_STEP, me, 0, 0; goto release }
  :: atomic { repeated -> goto finished }
  fi;

cutting:                                                                  /* by force: all but the first message */
  if
  :: atomic { d_step { rewind(me, step, force) }; goto finished }
  :: atomic { loses; repeated = true; wire ! REWIND, me, step, force; goto cutting }
  :: atomic { repeated -> goto finished }
  fi;

finished:                                                                 /* or dead */
  atomic {
    drop();
    request = NONE; step = 0; at = 0; number = 0; ending = 0; era = 0;
    force = false; repeated = false; was_late = false; answer = 0; purpose = 0; verdict = 0;
    is_busy = is_busy && self != 0;
    goto end_idle
  }
}
