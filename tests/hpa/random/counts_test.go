package podautoscaler

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"math/rand"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/kubernetes/pkg/controller/podautoscaler/monitor"
)

var (
	out   = flag.String("out", "", "folder for the vectors")
	count = flag.Int("count", 100, "vectors a file")
	seed  = flag.Int64("seed", 1, "of the random numbers")
)

// TestRandomVectors runs this controller on random inputs and writes inputs and results as vectors.
func TestRandomVectors(t *testing.T) {
	monitor.Register()
	for file, vector := range map[string]func(*random) object{"counts": oneCount, "limits": oneLimit, "passes": onePass} {
		r := &random{Rand: rand.New(rand.NewSource(*seed))}
		vectors := []object{}
		for i := range *count {
			r.now = time.Now()
			made := vector(r)
			made["name"], made["source"], made["upstream_broken"] = fmt.Sprintf("random %d", i), "random", false
			made["now"] = "2025-01-01T00:00:00Z"
			vectors = append(vectors, made)
		}
		text, err := json.Marshal(object{
			"format": "hpa-vectors/1", "group": file, "license": "Apache-2.0",
			"origin": "random inputs, answered by the controller of Kubernetes", "vectors": vectors,
		})
		if err == nil {
			err = os.WriteFile(filepath.Join(*out, file+".json"), append(text, '\n'), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// expected is the result, or the class of the error.
func expected(err error, result object) object {
	if err == nil {
		return result
	}
	class := "no_matching_pods"
	for part, of := range map[string]string{
		"no metrics returned from": "no_metrics", "missing request": "missing_request", "not found in Pod": "container_not_found",
	} {
		if strings.Contains(err.Error(), part) {
			class = of
		}
	}
	return object{"error": object{"class": class, "contains": err.Error()}}
}

// oneCount is a vector of the count for one metric.
func oneCount(r *random) object {
	current, name := int32(r.Intn(9)), pick(r, "cpu", "cpu", "memory")
	tolerance := Tolerances{scaleDown: pick(r, 0, 0.05, 0.1, 0.1, 0.3), scaleUp: pick(r, 0, 0.01, 0.1, 0.1, 0.25)}
	initialization, delay := pick[int64](r, 0, 60, 120, 300), pick[int64](r, 0, 10, 30)
	pods, texts := r.pods(6, name, false)
	calculator := func(s source) *ReplicaCalculator {
		return NewReplicaCalculator(sources{"": s}, lister{pods}, seconds(initialization), seconds(delay))
	}
	vector := object{
		"current_replicas": current, "tolerance": object{"up": tolerance.scaleUp, "down": tolerance.scaleDown},
		"resource": name, "container": nil, "pods": texts,
		"cpu_initialization_seconds": initialization, "initial_readiness_delay_seconds": delay,
	}
	target := int64(1 + r.Intn(40000))
	everything, ref := labels.Everything(), &autoscalingv2.CrossVersionObjectReference{}
	switch kind := pick(r, "resource", "resource", "container_resource", "pods", "group_pods", "object", "external", "object_per_pod", "external_per_pod"); kind {
	case "resource", "container_resource":
		used, samples := r.resources(pods, pick(r, 0.3, 1, 1, 2))
		container, percent := "", int32(1+r.Intn(150))
		if kind == "container_resource" {
			container = containerName(pick(r, 0, 0, 1, 2))
			vector["container"] = container
		}
		replicas, utilization, raw, _, err := calculator(used).GetResourceReplicas(context.Background(), current, percent, v1.ResourceName(name), tolerance, "ns", everything, container)
		vector["kind"], vector["target_utilization_percent"], vector["metrics"] = kind, percent, samples
		vector["expect"] = expected(err, object{"replicas": replicas, "utilization": utilization, "raw_value": raw})
	case "pods":
		values, samples := r.values(pods)
		replicas, usage, _, err := calculator(source{pods: values}).GetMetricReplicas(current, target, "m", tolerance, "ns", everything, nil)
		vector["kind"], vector["target_value_milli"], vector["metrics"] = kind, target, samples
		vector["expect"] = expected(err, object{"replicas": replicas, "usage": usage})
	case "group_pods":
		values, samples := r.values(pods)
		ready, unready, missing, ignored := groupPods(pods, values, v1.ResourceName(name), seconds(initialization), seconds(delay))
		names := func(set sets.Set[string]) []string { return append([]string{}, sets.List(set)...) }
		vector["kind"], vector["metrics"] = kind, samples
		vector["expect"] = object{
			"ready_pod_count": ready, "unready_pods": names(unready), "missing_pods": names(missing), "ignored_pods": names(ignored),
		}
	default:
		values := []int64{int64(r.Intn(100000))}
		if strings.HasPrefix(kind, "external") {
			for r.chance(0.5) {
				values = append(values, int64(r.Intn(50000)))
			}
			for i := range values {
				if r.chance(0.05) {
					values[i] = -values[i]
				}
			}
			// The integer value of an infinite float depends on the machine.
			if current > 0 && r.chance(0.05) {
				values = append(values, math.MaxInt64)
			}
		} else if r.chance(0.05) {
			values[0] = -values[0]
		}
		if strings.HasSuffix(kind, "per_pod") {
			current = max(current, 1)
		}
		vector["kind"], vector["current_replicas"] = kind, current
		vector["target_value_milli"], vector["metric_values_milli"] = target, slices.Clone(values)
		c, all := calculator(source{values: values}), &metav1.LabelSelector{}
		var replicas int32
		var usage int64
		var err error
		switch kind {
		case "object":
			replicas, usage, _, err = c.GetObjectMetricReplicas(current, target, "m", tolerance, "ns", ref, everything, nil)
		case "external":
			replicas, usage, _, err = c.GetExternalMetricReplicas(current, target, "m", tolerance, "ns", all, everything)
		case "object_per_pod":
			replicas, usage, _, err = c.GetObjectPerPodMetricReplicas(current, target, "m", tolerance, "ns", ref, nil)
		case "external_per_pod":
			replicas, usage, _, err = c.GetExternalPerPodMetricReplicas(current, target, "m", tolerance, "ns", all)
		}
		vector["expect"] = expected(err, object{"replicas": replicas, "usage": usage})
	}
	return vector
}

// oneLimit is a vector of rate policies and windows.
func oneLimit(r *random) object {
	controller := newController()
	current, wish, least := int32(r.Intn(20)), int32(r.Intn(30)), int32(1+r.Intn(4))
	most := least + int32(r.Intn(25))
	up, upText := r.rules(true)
	down, downText := r.rules(false)
	ups, upsText := r.events()
	downs, downsText := r.events()
	recommendations, history := r.recommendations()
	controller.scaleUpEvents[key], controller.scaleDownEvents[key] = ups, downs
	controller.recommendations[key] = recommendations
	switch kind := pick(r, "behavior_rate", "scale_up_limit", "scale_down_limit", "legacy_limits", "behavior_windows", "downscale_window"); kind {
	case "behavior_rate":
		replicas, reason, _ := controller.convertDesiredReplicasWithBehaviorRate(NormalizationArg{key, up, down, least, most, current, wish})
		return object{
			"kind": kind, "current_replicas": current, "desired_replicas": wish, "min_replicas": least, "max_replicas": most,
			"scale_up": upText, "scale_down": downText, "scale_up_events": upsText, "scale_down_events": downsText,
			"expect": object{"replicas": replicas, "reason": reason},
		}
	case "scale_up_limit":
		return object{
			"kind": kind, "current_replicas": current, "rules": upText, "scale_up_events": upsText, "scale_down_events": downsText,
			"expect": object{"limit": calculateScaleUpLimitWithScalingRules(current, ups, downs, up)},
		}
	case "scale_down_limit":
		return object{
			"kind": kind, "current_replicas": current, "rules": downText, "scale_up_events": upsText, "scale_down_events": downsText,
			"expect": object{"limit": calculateScaleDownLimitWithBehaviors(current, ups, downs, down)},
		}
	case "legacy_limits":
		replicas, reason, _ := convertDesiredReplicasWithRules(current, wish, least, most)
		return object{
			"kind": kind, "current_replicas": current, "desired_replicas": wish, "min_replicas": least, "max_replicas": most,
			"scale_up_limit_factor": scaleUpLimitFactor, "scale_up_limit_minimum": scaleUpLimitMinimum,
			"expect": object{"replicas": replicas, "reason": reason},
		}
	case "behavior_windows":
		upWindow, downWindow := pick[int32](r, 0, 30, 60, 300), pick[int32](r, 0, 60, 180, 300, 600)
		up.StabilizationWindowSeconds, down.StabilizationWindowSeconds = &upWindow, &downWindow
		replicas, _, _ := controller.stabilizeRecommendationWithBehaviors(NormalizationArg{key, up, down, 0, 100, current, wish})
		after := []int32{}
		for _, kept := range controller.recommendations[key] {
			after = append(after, kept.recommendation)
		}
		return object{
			"kind": kind, "recommendations": history, "current_replicas": current, "desired_replicas": wish,
			"scale_up_window_seconds": upWindow, "scale_down_window_seconds": downWindow,
			"expect": object{"replicas": replicas, "recommendations_after": after},
		}
	default:
		window := pick[int64](r, 60, 180, 300, 600)
		controller.downscaleStabilisationWindow = seconds(window)
		replicas := controller.stabilizeRecommendation(key, wish)
		return object{
			"kind": kind, "recommendations": history, "desired_replicas": wish, "downscale_window_seconds": window,
			"expect": object{"replicas": replicas, "history_length_after": len(controller.recommendations[key])},
		}
	}
}
