// Java's own HTTP client with its defaults: it offers h2c by an Upgrade with every request.
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse.BodyHandlers;

public class Append {
    public static void main(String[] arguments) throws Exception {
        HttpClient client = HttpClient.newHttpClient();
        String url = arguments[0];
        String[][] requests = {
            {"POST", "/streams/order-1", "{\"type\": \"Placed\", \"data\": {\"total\": 12}}"},
            {"PUT", "/consumers/mails", "{\"query\": {\"any_of\": [{\"types\": [\"Paid\"]}]}, \"lease\": 120}"},
            {"POST", "/streams/order-1", "{\"type\": \"Paid\"}"},
            {"GET", "/streams/order-1", ""},
        };
        for (String[] one : requests) {
            HttpRequest request = HttpRequest.newBuilder(URI.create(url + one[1]))
                .header("Content-Type", "application/json")
                .method(one[0], one[2].isEmpty() ? BodyPublishers.noBody() : BodyPublishers.ofString(one[2]))
                .build();
            var answer = client.send(request, BodyHandlers.ofString());
            System.out.println(answer.statusCode() + " " + answer.body());
        }
    }
}
