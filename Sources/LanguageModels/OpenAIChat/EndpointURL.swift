/// The URL of chat completions, for a base URL as providers print it.
enum EndpointURL {
    private static let path = "/chat/completions"

    /// Returns the URL: `https://h` and `https://h/api` → `…/v1/chat/completions`. A path that
    /// names an API already only gets the end: `https://h/v1`, `https://h/api/paas/v4`,
    /// `https://h/v1beta/openai`, `https://h/openai/deployments/d`. A whole address stays as it is.
    /// A query stays behind the path.
    static func chatCompletions(of baseURL: String) -> String {
        let address = baseURL.prefix { $0 != "#" }
        var base = address.prefix { $0 != "?" }
        let query = address[base.endIndex...]
        while base.last == "/" { base.removeLast() }
        if base.hasSuffix(path) { return "\(base)\(query)" }
        return namesAPI(base) ? "\(base)\(path)\(query)" : "\(base)/v1\(path)\(query)"
    }

    /// Returns whether a segment of the path is `openai`, or a version: `v` and a digit.
    private static func namesAPI(_ base: Substring) -> Bool {
        // The first two are the scheme's and empty, the third is the host.
        base.split(separator: "/", omittingEmptySubsequences: false).dropFirst(3).contains { segment in
            let name = segment.lowercased()
            return name == "openai" || name.first == "v" && name.dropFirst().first.map { ("0"..."9").contains($0) } == true
        }
    }
}
