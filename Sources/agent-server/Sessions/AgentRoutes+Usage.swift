import Hummingbird
import JSONText
import NIOCore
import SessionStore

extension AgentRoutes {
    /// Days that a response without `from` has.
    private static let usualDays = 30

    /// `GET /agent/usage?from=&to=&subject=`: what an account has used on each day.
    func usage(_ request: Request, _ context: Context) async throws -> Response {
        let other = try otherSubject(request, context)
        let today = try await stored { () throws(StoreError) in try await store.today() }
        let days = try days(request, today: today)
        let account = other.map { Account($0, tenant: context.principal.tenant) } ?? context.principal.ownAccount
        var usage: [DayUsage] = []
        if let account { usage = try await stored { () throws(StoreError) in try await store.usage(of: account, days: days) } }
        if let other { audit.note(.usageRead, context, target: other) }
        var body = ByteBuffer(string: "{")
        if let subject = other ?? context.principal.subject {
            body.writeString(#""subject":"#)
            body.writeJSONString(subject.text)
            body.writeString(",")
        }
        body.writeString("\"from\":\"\(days.lowerBound)\",\"to\":\"\(days.upperBound)\",")
        body.writeMembers(of: usage)
        body.writeString("}")
        return .json(body)
    }

    /// Returns the subject of the query; nil without one, or if the request acts for it.
    private func otherSubject(_ request: Request, _ context: Context) throws -> Subject? {
        guard let name = request.uri.queryParameters.get("subject") else { return nil }
        guard let subject = Subject(name) else { throw Problem.badSubjectParameter }
        guard subject != context.principal.subject else { return nil }
        try context.principal.require(.admin)
        return subject
    }

    /// Returns the days of the query: the last thirty without `from`, through today without `to`.
    private func days(_ request: Request, today: UsageDay) throws -> ClosedRange<UsageDay> {
        func day(_ name: String) throws -> UsageDay? {
            guard let text = request.uri.queryParameters.get(name) else { return nil }
            guard let day = UsageDay(text) else { throw Problem.badDay }
            return day
        }
        let last = try day("to") ?? today
        let first = try day("from") ?? UsageDay(number: last.number - Self.usualDays + 1)
        guard first <= last, last.number - first.number < RedisSessionStore.usageDays else { throw Problem.badDay }
        return first...last
    }
}

extension Principal {
    /// The user in whose name the request acts; nil for a key of the whole tenant.
    var subject: Subject? { if case .subject(let subject) = requester { subject } else { nil } }

    /// The account of the subject, otherwise that of the key.
    fileprivate var ownAccount: Account? { subject.map { Account($0, tenant: tenant) } ?? accounts.first }
}
