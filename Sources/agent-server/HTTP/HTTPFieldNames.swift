import HTTPTypes

extension HTTPField.Name {
    // The names are valid tokens; a nil would only leave the field out.
    static let internalAuth = HTTPField.Name("X-Internal-Auth") ?? .authorization
    static let agentSubject = HTTPField.Name("X-Agent-Subject") ?? .authorization
    static let idempotencyKey = HTTPField.Name("Idempotency-Key") ?? .ifMatch
    static let replica = HTTPField.Name("X-Agent-Replica") ?? .server
    static let unknownMembers = HTTPField.Name("X-Agent-Unknown-Members") ?? .via
    static let accelBuffering = HTTPField.Name("X-Accel-Buffering") ?? .cacheControl
    static let traceparent = HTTPField.Name("traceparent") ?? .via
    static let requestID = HTTPField.Name("X-Request-ID") ?? .via
    static let deprecation = HTTPField.Name("Deprecation") ?? .via
    static let link = HTTPField.Name("Link") ?? .via
    static let secFetchSite = HTTPField.Name("Sec-Fetch-Site") ?? .via
    static let rateLimit = HTTPField.Name("RateLimit") ?? .via
    static let rateLimitPolicy = HTTPField.Name("RateLimit-Policy") ?? .via
    static let lastEventID = HTTPField.Name("Last-Event-ID") ?? .ifMatch
}
