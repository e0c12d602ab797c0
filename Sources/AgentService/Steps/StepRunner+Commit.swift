import JSONText
import LanguageModels
import Logging
import NIOCore
import RedisClient
import SessionStore

extension StepRunner {
    /// Stores the end of the step, and only then emits it.
    ///
    /// - Parameter cause: Why the step failed, for this replica's own log.
    /// - Returns: Whether this replica still held the lease.
    func commit(_ ending: StepStateMachine.Ending, cause: String?) async -> Result<LeaseAnswer, StoreError> {
        // What a model has cost that was cut off is not known.
        let usage = ending.status == .cancelled && !machine.hasUsage ? nil : machine.usage
        var events = await log.close()
        let firstFinal = events.nextSequence
        let summary = StepSummary(
            status: ending.status,
            session: lease.session,
            step: lease.step,
            historyLength: started.historyLength + ending.said.messages.count,
            pendingCalls: ending.calls.map(\.id),
            finishReason: ending.finishReason?.text,
            usage: usage,
            metadata: started.settings.metadata
        )
        let last = ending.events + [.finished(summary)]
        for event in last { LogCodec.append(event, to: &events) }
        var commit = StepCommit(
            lease: lease,
            messages: ending.said.messages,
            calls: ending.calls.map { PendingCall(id: $0.id, toolName: $0.name, json: $0.pendingJSON(step: lease.step)) },
            events: events,
            promptTokens: usage?.promptTokens ?? 0,
            completionTokens: usage?.completionTokens ?? 0,
            journalLine: journalLine(ending, usage)
        )
        commit.isRejected = ending.isRejected
        commit.reasoning = ending.said.stored(by: model.author)
        commit.finishReason = ending.finishReason?.text
        commit.hasUsage = machine.hasUsage
        commit.isAwaited = ending.status == .cancelled
        if let usage, let prices = service.configuration.prices {
            commit.cost = prices.cost(of: usage, provider: model.provider, model: model.upstreamName)
        }
        do throws(StoreError) {
            let answer = try await service.store.commit(commit)
            if answer == .held {
                logFailure(ending, cause)
                stream.finish { output in
                    for (offset, event) in last.enumerated() { output.emit(event, id: id(firstFinal + offset)) }
                }
            }
            return .success(answer)
        } catch {
            logger.warning("a step could not be committed", metadata: ["error": "\(error)", "code": "store_unavailable"])
            // A replica that takes the step over fares no better.
            if error.code == .damaged { service.store.postpone(lease.session, for: RedisSessionStore.damagePause) }
            return .failure(error)
        }
    }

    /// Follows the session for this step's client: another replica has the lease, or the session is
    /// gone.
    func follow(step: Int, intent: String) async -> StepStateMachine.Action {
        _ = await log.close()
        // A client asked for it if the step was taken to be cancelled, or if the session is gone.
        // Otherwise this replica was taken for lost.
        let isWanted = step == 0 || !intent.isEmpty
        logger.log(level: isWanted ? .debug : .notice, "the lease was lost", metadata: ["latest": "\(step)"])
        guard step > 0 else {
            service.store.settle(lease, used: nil)
            return .fail(StepFailure("the session was deleted", code: "session_deleted", isRetryable: false))
        }
        await service.tell(lease.session, from: .end(of: lease.step, nonce: lease.token.nonce), to: stream, as: lease.requester)
        guard started.settings.onDisconnect == .cancel, !stream.isOpen else { return .finish }
        // The client was connected to this replica; where its step runs now, no replica would
        // notice that it has left.
        do throws(TurnError) {
            _ = try await service.cancel(lease.session, step: lease.step, as: lease.requester)
        } catch {
            logger.debug("a step whose client has left was not cancelled", metadata: ["error": "\(error)"])
        }
        return .finish
    }

    /// Ends the client's stream with a failure that is not in the log.
    func fail(_ failure: StepFailure) {
        let summary = StepSummary(
            status: .failed, session: lease.session, step: lease.step, metadata: started.settings.metadata)
        stream.finish { output in
            output.emit(.failed(failure))
            output.emit(.finished(summary))
        }
    }

    private func logFailure(_ ending: StepStateMachine.Ending, _ cause: String?) {
        guard ending.status == .failed else { return }
        var metadata: Logger.Metadata = ["code": "\(ending.errorCode ?? "")"]
        if let cause { metadata["error"] = "\(cause)" }
        if let code = ending.upstreamCode { metadata["upstream_code"] = "\(code)" }
        if let request = ending.upstreamRequest { metadata["upstream_request"] = "\(request)" }
        logger.warning("a step has failed", metadata: metadata)
    }

    /// A line of the session's audit trail.
    private func journalLine(_ ending: StepStateMachine.Ending, _ usage: TokenUsage?) -> ByteBuffer {
        let duration = begun.duration(to: .now).milliseconds
        let from = started.historyLength
        var json = ByteBuffer()
        json.writeStaticString(#"{"step":"#)
        json.writeDecimal(lease.step)
        json.writeStaticString(#","status":""#)
        json.writeString(ending.status.rawValue)
        json.writeStaticString(#"","owner":"#)
        json.writeJSONString(service.configuration.replica)
        json.writeStaticString(#","history":["#)
        json.writeDecimal(from)
        json.writeStaticString(",")
        json.writeDecimal(from + ending.said.messages.count)
        json.writeStaticString(#"],"nonce":"#)
        json.writeJSONString(lease.token.nonce)
        if !replaced.isEmpty {
            json.writeStaticString(#","replaced":["#)
            for (index, id) in replaced.enumerated() {
                if index > 0 { json.writeStaticString(",") }
                json.writeJSONString("\(id.step).\(id.nonce)")
            }
            json.writeStaticString("]")
        }
        json.writeStaticString(#","duration_ms":"#)
        json.writeDecimal(Int(duration))
        if let code = ending.errorCode {
            json.writeStaticString(#","error":"#)
            json.writeJSONString(code)
        }
        if let code = ending.upstreamCode {
            json.writeStaticString(#","upstream_code":"#)
            json.writeJSONString(code)
        }
        json.writeStaticString(#","finish_reason":"#)
        json.writeFinishReason(ending.finishReason?.text)
        if let usage {
            json.writeStaticString(#","usage":"#)
            json.writeUsage(usage)
        }
        if let metadata = started.settings.metadata {
            json.writeStaticString(#","metadata":"#)
            json.writeImmutableBuffer(metadata)
        }
        json.writeStaticString("}")
        return json
    }
}
